"""Getting real weights and data: what there is, where it lies, bringing it here, and what is here already.

    vnb.doctor()                    what is here, what is missing, and the next step
    vnb.fetch("ctrl-uniter")        brings it; goes on where it was cut; checks it

Nothing else in this kit touches the network.
"""
