"""The two passes of a training step, as compiled Python that calls kernels by their names.

``rows_pass`` takes a block of rows through all layers and back, ``weights_pass`` a block of
weights through its gradient and update; ``rows``, ``gradients`` and ``sparse`` are the loops over
tiles that they are made of. ``step_constants`` prepares a step, ``packing`` brings operands into
panels. All of it is Python as ``scalar`` translates it; it only computes addresses, so one version
serves both dtypes.

Who owns which block (two threads, one layer of ``n_in × n_out``)::

    rows pass    a (batch × n_in)      z, d (batch × n_out)
                 ┌──────────────┐      ┌────────┐
      task 0     │ rows 0…      │  ──► │ rows 0…│   reads all weights, writes its own rows
                 ├──────────────┤      ├────────┤
      task 1     │ rows k…      │  ──► │ rows k…│
                 └──────────────┘      └────────┘
    weights pass W (n_in × n_out), as panels of columns
                 ┌────┬────┐
      task 0     │ 0  │ 2  │   reads all rows of a and d, writes its own block of W,
                 ├────┼────┤   of its state and of the transposed weights
      task 1     │ 1  │ 3  │
                 └────┴────┘

Every element is summed by one task in the order of the rows, so no result depends on the cut.
"""
