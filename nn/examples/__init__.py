"""Examples: scripts that train something small, say what happened and draw it.

``python -m fastmlp.examples.regression`` and so on; each takes seconds, needs no network connection
and writes a picture into the folder ``--out`` (default ``fastmlp-examples``) where matplotlib is
installed.

=========================  =====================================================================
``regression``             a curve with four parameters
``binary``                 two half moons, one sigmoid output
``multinomial``            three arms of a spiral, softmax
``mnist_squared_error``    handwritten digits: sigmoid, squared error, plain descent
``mnist_cross_entropy``    handwritten digits: softmax, cross-entropy, dropout, early stopping
``descents``               batch, stochastic and minibatch descent on one plot
``optimizers_compared``    all optimizers on one plot
``line_search``            constant steps against line searches: a quadratic, and a network
``second_order``           gradient descent, Adam, L-BFGS and Levenberg–Marquardt side by side
``loss_surface``           the loss around a network, and the way down to it
``custom_loss``            a loss of one's own in a line of NumPy, and its computation graph
``pole_balancing``         an actor and a critic that learn step by step to balance a pole
=========================  =====================================================================

The two for MNIST read its files from ``--data-dir``; without it they take the embedded digits.
"""
