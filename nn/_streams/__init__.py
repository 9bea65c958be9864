"""Training on sources: ``stream`` reads and checks blocks, ``reading`` puts them side by side in a
thread of their own, ``run`` makes an epoch of them, ``rows`` is what the rest of the package calls.
"""
