"""What the benchmarks share.

``shapes``      the networks that are timed, and the arithmetic that a step of each needs
``problem``     data, first weights, and what a right answer is
``contenders``  training loops: fastmlp's backends, NumPy by hand, scikit-learn, torch, JAX
``kernels``     single kernels beside NumPy
``peak``        the FMA peak of the machine
``timing``      rounds in which the contenders take turns
``machine``     which cores, which processor, which versions
``isolated``    measurements in a process of their own, with its cores and its thread limit
``results``     JSON and tables; ``plots`` the pictures
"""
