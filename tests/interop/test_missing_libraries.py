"""What is said where an optional library is not installed, and that none is imported unasked."""

from __future__ import annotations

import subprocess
import sys

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


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_missing_libraries_are_named_with_what_to_install():
    lines = ["import sys, fastmlp"]
    for library, calls in CALLS.items():
        lines.append(f"sys.modules[{library!r}] = None")
        for call, message in calls:
            lines += [
                f"try:\n    {call}\nexcept ImportError as error:\n    print(error)",
                f"    assert {message!r} in str(error), error",
                f"else:\n    raise AssertionError({call!r})",
            ]
        lines.append(f"del sys.modules[{library!r}]")
    done = run("\n".join(lines))
    assert done.returncode == 0, done.stderr


def test_nothing_is_imported_unasked():
    done = run(
        "import sys, fastmlp, fastmlp.interop, fastmlp.explain\n"
        "fastmlp.MLPClassifier, fastmlp.MLP([2, 2]).to_c()\n"
        f"print([name for name in {list(CALLS)} if name in sys.modules])"
    )
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
