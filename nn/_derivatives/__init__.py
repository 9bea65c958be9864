"""Derivatives of a network by its inputs and parameters, to the second order.

Everything is made of the kernels of single layers, so that it runs on the live backend, in parallel
over rows; :class:`.methods.Derivatives` gives a network its methods. In the order to read them:

================  ====================================================================
``tape``          a forward pass over some rows that keeps what derivatives need
``first``         products with the Jacobian, by inputs and by parameters
``curvature``     second derivatives of activations and losses
``second``        products with the Hessian of a loss; second derivatives by inputs
``gauss_newton``  the matrix of second-order training, ``Σ Jᵀ H J``
``laplace``       standard deviations of predictions from it
``arguments``     checks of what they are given
``methods``       the methods of a network; those of second order in ``of_second_order``
================  ====================================================================
"""
