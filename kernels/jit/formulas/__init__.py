"""What is computed from single numbers or rows of outputs, in the vector language.

``activations``, ``penalties``, ``dropout`` and ``updates`` by the ``update_rules`` work on runs of
elements (plain descent also on the sums of a tile); ``columns`` turns rows of outputs into columns,
on which ``losses_of_outputs`` and ``losses_of_scores`` are defined and ``output_layer`` makes
kernels of them; ``expressions`` writes users' own functions. A new activation, rule or loss is an
entry of the table in its file.
"""
