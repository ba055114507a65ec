"""Times onnxruntime on the shipped denoiser, one window of one machine a call, one thread: the peer of `cargo bench --bench sample`.

    pip install onnxruntime numpy
    python benches/peer_window.py [CALLS]
"""

import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import onnxruntime

MODEL = Path(__file__).parent.parent / "models" / "hydraulic-dae" / "denoiser.onnx"
CHANNELS, COLUMNS = 10, 61
ROUNDS = 20


def main() -> None:
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(MODEL, options, providers=["CPUExecutionProvider"])
    window = np.random.default_rng(7).normal(size=(1, CHANNELS, COLUMNS)).astype(np.float32)
    value = onnxruntime.OrtValue.ortvalue_from_numpy(window)
    # Input and output stay where they are, so that the binding's conversions are not timed.
    binding = session.io_binding()
    binding.bind_ortvalue_input("x", value)
    binding.bind_output("y")
    forms = {
        "run": lambda: session.run(None, {"x": window}),
        "run with bound input and output": lambda: session.run_with_iobinding(binding),
    }
    for name, call in forms.items():
        print(f"onnxruntime {onnxruntime.__version__}, {name}: {micros(call, calls)} µs a window (median, best of rounds)")


def micros(call, calls: int) -> str:
    """Median and best of some rounds."""
    rounds = []
    for _ in range(ROUNDS + 1):
        start = time.perf_counter()
        for _ in range(calls):
            call()
        rounds.append(1e6 * (time.perf_counter() - start) / calls)
    warm = rounds[1:]
    return f"{median(warm):.1f}, {min(warm):.1f}"


if __name__ == "__main__":
    main()
