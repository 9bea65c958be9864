"""What of this machine is used: its instruction set, its caches. Included by _core.pyx."""


def _select_isa():
    wanted = os.environ.get("FASTMLP_ISA", "").strip().lower().encode()
    cdef const char *name = wanted
    cdef const char *usable = fastmlp_select_isa(name if wanted else NULL)
    if usable != NULL:
        wish = f"FASTMLP_ISA={wanted.decode()!r}" if wanted else "any instruction set of this build"
        raise ImportError(
            f"{wish} cannot be used here ({fastmlp_left_out.decode()}); "
            f"usable: {usable.decode() or 'none'}"
        )


_select_isa()


def _cpuid_caches():
    """What the processor says of its caches: bytes for a core, 0 for what it does not say."""
    cdef caches found = fastmlp_cpuid_caches()
    return found.l1, found.l2, found.l3


def _use_caches(sizes):
    """Cut predictions into blocks for caches of these sizes."""
    cdef caches wanted
    wanted.l1, wanted.l2, wanted.l3 = sizes
    fastmlp_set_caches(wanted)


_caches.use_cpuid(_cpuid_caches)
_use_caches(_caches.sizes())


def isa():
    """Name of the instruction set whose kernels run."""
    return fastmlp_isa().decode()
