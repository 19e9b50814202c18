"""The feature files of bottom-up attention itself (`trainval_36.tsv` and the like)."""

from __future__ import annotations

from value_nb.data.features.tsv_file import TsvSource


class ButdTsv(TsvSource):
    """Pictures of a bottom-up attention TSV file.

    Six fields without a header, the width before the height (LXMERT has it the other way round); arrays are
    base64 of little-endian float32; boxes in pixels. Classes and confidences are not in the file.
    """

    format = "butd-tsv"
    made_by = "bottom-up attention (ResNet-101), as its own TSV files hold it"
    fields = ("image_id", "image_w", "image_h", "num_boxes", "boxes", "features")
