"""What only tests call. Included by _core.pyx."""

#: As they are numbered in src/vector/functions.h.
VECTOR_FUNCTIONS = (
    "exp", "log", "tanh", "sigmoid", "log1p", "expm1", "softplus", "normal_tail",
    "sqrt",
)


def _vector_function(name, x):
    """One of the functions of src/vector/vmath.h, of a contiguous vector: for their test."""
    cdef cnp.ndarray a = np.ascontiguousarray(x)
    cdef cnp.ndarray out = np.empty_like(a)
    cdef int which = VECTOR_FUNCTIONS.index(name)
    kernels_of(a).function(which, cnp.PyArray_DATA(a), cnp.PyArray_DATA(out), cnp.PyArray_SIZE(a))
    return out


def _contract(kind, name):
    """What C knows of a name, None for nothing: for the test that compares its lists with Python's.

    The number of an activation, loss or constant; of a rule, its number and vectors of state.
    """
    lookups = {
        "activation": code_of(name, fastmlp_activation_code),
        "loss": code_of(name, fastmlp_loss_code),
        "loss constant": code_of(name, fastmlp_loss_constant_code),
        "rule": code_of(name, fastmlp_update_code),
        "rule constant": code_of(name, fastmlp_constant_code),
    }
    code = lookups[kind]
    if code < 0:
        return None
    return (code, fastmlp_states(code)) if kind == "rule" else code
