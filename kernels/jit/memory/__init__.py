"""The memory of a network and a batch, laid out before anything runs.

``records`` are what compiled code reads, made of ``fields``; ``layout`` says where weights,
activations and errors of each layer lie, ``arena`` reserves them as one piece, and ``blocks`` cuts
a step into tasks.
"""
