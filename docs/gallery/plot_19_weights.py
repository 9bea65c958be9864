"""
Weights of the first layer as images
====================================

Each neuron of the first layer has a weight for every pixel: an image of what it looks for.
"""

from fastmlp import MLP, plot
from fastmlp.datasets import load_digits

digits = load_digits()
net = MLP([64, 24, 10], output="softmax", random_state=0)
net.fit(digits.X / 16, digits.y, epochs=60, l2=1e-3, max_norm=2.0)
ax = plot.weight_images(net, (8, 8))
