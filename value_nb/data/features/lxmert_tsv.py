"""LXMERT's feature files: `<split>_obj36.tsv`, 36 regions a picture."""

from __future__ import annotations

from value_nb.data.features.tsv_file import TsvSource


class LxmertTsv(TsvSource):
    """Pictures of an LXMERT TSV file (also of VOLTA's, which has the same fields).

    Ten fields without a header; arrays are base64 of little-endian numbers: objects_id and attrs_id int64,
    the others float32; boxes in pixels. Class index: objects_id, 0 to 1599.
    """

    format = "lxmert-tsv"
    made_by = "bottom-up attention (ResNet-101, 36 regions), as LXMERT's TSV files hold it"
    fields = (
        "img_id",
        "img_h",
        "img_w",
        "objects_id",
        "objects_conf",
        "attrs_id",
        "attrs_conf",
        "num_boxes",
        "boxes",
        "features",
    )
