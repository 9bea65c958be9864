"""What is said where an optional library is not installed, and that none is imported unasked."""

from __future__ import annotations

from fresh import run_python

CALLS = {
    "onnx": [
        ("fastmlp.MLP([2, 2]).to_onnx()", "to_onnx needs onnx: pip install 'fastmlp[onnx]'"),
        ("fastmlp.from_onnx(b'')", "from_onnx needs onnx: pip install 'fastmlp[onnx]'"),
    ],
    "torch": [
        ("fastmlp.MLP([2, 2]).to_torch()", "needs torch: pip install 'torch'"),
        ("fastmlp.from_torch(None)", "needs torch: pip install 'torch'"),
    ],
    "jax": [("fastmlp.MLP([2, 2]).to_jax()", "needs jax: pip install 'jax'")],
    "keras": [
        ("fastmlp.MLP([2, 2]).to_keras()", "needs keras: pip install 'keras'"),
        ("fastmlp.from_keras(None)", "needs keras: pip install 'keras'"),
    ],
    "skl2onnx": [
        (
            "import fastmlp.interop.skl2onnx as s; s.register()",
            "needs skl2onnx: pip install 'skl2onnx'",
        )
    ],
}


def test_what_is_missing_is_named_with_what_to_install_and_nothing_is_imported_unasked():
    lines = [
        "import sys, fastmlp, fastmlp.interop, fastmlp.explain",
        "fastmlp.MLPClassifier, fastmlp.MLP([2, 2]).to_c()",
        f"assert not [name for name in {list(CALLS)} if name in sys.modules]",
    ]
    for library, calls in CALLS.items():
        lines.append(f"sys.modules[{library!r}] = None")
        for call, message in calls:
            lines += [
                f"try:\n    {call}\nexcept ImportError as error:\n    print(error)",
                f"    assert {message!r} in str(error), error",
                f"else:\n    raise AssertionError({call!r})",
            ]
        lines.append(f"del sys.modules[{library!r}]")
    done = run_python("\n".join(lines))
    assert done.returncode == 0, done.stderr
