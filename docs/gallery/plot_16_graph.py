"""
A computation graph
===================

What is written in NumPy is traced to a graph; ``backward`` fills in the derivative along every
edge, from the output to the inputs: the chain rule, spelled out.
"""

import matplotlib.pyplot as plt
from fastmlp.autodiff import trace

graph = trace(lambda x, w, b, y: (y - (x * w + b)) ** 2, 2.0, 3.0, 1.0, 5.0)
graph.backward()
print(graph)

# %%
# The value of every node, and on every edge the derivative that flows back along it.

figure, ax = plt.subplots(figsize=(9.5, 3.8))
graph.plot(ax)
