"""Products of matrices in the vector language.

Matrices lie in panels of one cache line of columns, which ``panels`` fills and empties. ``tiles``
holds the two products that fit the registers, forward and gradient, with the sums over rows, and
the second of them again with plain descent at its end; ``sparse`` the same for rows of which only
stored entries are touched.
"""
