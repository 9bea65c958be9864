"""One network over several processes: ``sums`` adds vectors up in a fixed tree over a communicator,
``cluster`` is what the ranks agree on, ``trainer`` makes their steps.
"""
