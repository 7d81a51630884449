"""What weight decay adds to the gradient."""

from __future__ import annotations

import jax
import numpy as np

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject


def decay_gradient(subject: Subject) -> Found:
    """Size of the kernels, and how far the gradient of the penalty is from λ times each of them.

    λ/2 ‖θ‖² is written `L2: {l2: λ/2}` in Keras, so λ is twice the declared number.
    """
    found: Found = {}
    errors = [0.0]
    kernels = []
    for layer in subject.network.layers:
        if not layer.weights:
            continue
        kernel = np.asarray(layer.kernel.value)
        kernels.append(kernel)
        if layer.kernel_regularizer is not None:
            strength = 2 * float(layer.kernel_regularizer.l2)
            gradient = np.asarray(jax.grad(layer.kernel_regularizer)(kernel))
            errors.append(float(np.abs(gradient - strength * kernel).max()))
    found["weight_norm"] = float(np.sqrt(sum((kernel**2).sum() for kernel in kernels)))
    found["decay_error"] = max(errors)
    return found
