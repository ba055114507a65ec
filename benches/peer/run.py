"""The whole way beside the peer: the daemon and a Python script of paho-mqtt and onnxruntime in turn on the same mosquitto, with the
same telemetry and the same model file.

    cargo build --release
    pip install paho-mqtt onnxruntime numpy orjson
    python benches/peer/run.py --peer ../shared/peer/peer.py [--rounds 3] [--rate 4000] [--machines 100] [--seconds 15]

Both learn from 400 samples a machine, then score; what is measured begins afterwards. The load comes from a bare socket, so that it
takes little from either. CPU is what the kernel counts for the process; it covers receiving, decoding, scoring and acknowledging.
At saturation, the samples of a burst come as fast as the broker hands them out; what a sample costs then says how many a second
one core could take, whoever else uses this machine.
"""

import argparse
import math
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent.parent
MODEL = ROOT / "models" / "hydraulic-dae" / "denoiser.onnx"
WINDOW, LEARNED = 61, 400
# Samples a second, more than the broker hands out; as many as it may queue.
FLOOD, BURST = 100_000, 40_000
# Level and wobble of each channel of the kind, in its order.
CHANNELS = {
    "CE": (47.0, 0.5), "CP": (2.1, 0.03), "SE": (55.0, 3.0), "VS1": (0.55, 0.03), "TS1": (35.0, 0.2),
    "TS2": (40.0, 0.2), "TS3": (38.0, 0.2), "TS4": (30.0, 0.2), "FS1": (6.4, 0.3), "FS2": (10.2, 0.05),
}
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="the peer's script")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=4000, help="samples a second")
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    arguments = parser.parse_args()
    found = {"peer": [], "wheeltapper": []}
    for number in range(arguments.rounds):
        for name, start in [("peer", start_peer), ("wheeltapper", start_daemon)]:
            measured = measure(start, arguments)
            found[name].append(measured)
            cpu, burst, rss, ready = measured
            print(
                f"round {number + 1}, {name}: {cpu:.1f} µs CPU a sample, {burst:.1f} at saturation, {rss:.1f} MiB, ready after {ready:.0f} ms",
                flush=True,
            )
    columns = {name: [median(column) for column in zip(*rows)] for name, rows in found.items()}
    print(f"\n{arguments.rate} samples/s, {arguments.machines} machines x {len(CHANNELS)} channels, QoS 1, medians of {arguments.rounds}\n")
    print("| | peer | wheeltapper | peer / wheeltapper |\n|---|---|---|---|")
    for place, what in enumerate(["CPU a sample, µs", "CPU a sample at saturation, µs", "memory, MiB", "start to ready, ms"]):
        peer, ours = columns["peer"][place], columns["wheeltapper"][place]
        print(f"| {what} | {peer:.1f} | {ours:.1f} | {peer / ours:.1f} |")
    peer, ours = (1e6 / columns[name][1] for name in ("peer", "wheeltapper"))
    print(f"| samples/s that one core takes, by its CPU time | {peer:,.0f} | {ours:,.0f} | {peer / ours:.2f} |")


def measure(start, arguments) -> tuple[float, float, float, float]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        broker = start_broker(port, Path(folder))
        try:
            begun = time.monotonic()
            process, is_ready = start(port, Path(folder), arguments)
            try:
                while not is_ready():
                    if process.poll() is not None:
                        sys.exit(f"it ended with {process.returncode}")
                    time.sleep(0.002)
                ready = 1000 * (time.monotonic() - begun)
                time.sleep(1)
                load = Load(port, arguments.machines, arguments.rate)
                load.send(LEARNED * arguments.machines + 2000)
                time.sleep(2)
                before = cpu_of(process.pid)
                sent = load.send(int(arguments.rate * arguments.seconds))
                time.sleep(2)
                cpu = cpu_of(process.pid) - before
                before = cpu_of(process.pid)
                load.rate = FLOOD
                burst = load.send(BURST)
                after = settled(process.pid) - before
                return 1e6 * cpu / sent, 1e6 * after / burst, rss_of(process.pid), ready
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(10)
        finally:
            broker.kill()
            broker.wait()


def start_broker(port: int, folder: Path) -> subprocess.Popen:
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 200\nmax_queued_messages 100000\n"
    )
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    broker = subprocess.Popen([binary, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: connects(port))
    return broker


def start_peer(port: int, folder: Path, arguments):
    command = [sys.executable, str(arguments.peer), str(MODEL), "--port", str(port)]
    command += ["--window", str(WINDOW), "--channels", str(len(CHANNELS))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = threading.Event()
    threading.Thread(target=lambda: process.stdout.readline() and said.set(), daemon=True).start()
    return process, said.is_set


def start_daemon(port: int, folder: Path, _):
    configuration = folder / "wheeltapper.toml"
    configuration.write_text(
        f'gateway = "g1"\nstate_dir = "{folder}/state"\nmodels = "{ROOT}/models"\n[mqtt]\nhost = "127.0.0.1"\nport = {port}\n'
        f'[[input]]\ntopic = "plant/{{machine}}/telemetry"\n[machine_defaults]\nkind = "hydraulic-rig"\ncalibrate = {LEARNED}\n'
    )
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(folder / "notify"))
    notify.setblocking(False)
    command = [ROOT / "target" / "release" / "wheeltapper", "run", "--config", configuration]
    environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    def is_ready() -> bool:
        try:
            return b"READY=1" in notify.recv(4096)
        except BlockingIOError:
            return False

    return process, is_ready


class Load:
    """Publishes at QoS 1 at a steady rate, over a bare socket."""

    def __init__(self, port: int, machines: int, rate: int):
        self.random = random.Random(7)
        self.machines, self.rate, self.row, self.packet = machines, rate, 0, 0
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        identifier = b"load"
        variable = b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack(">H", len(identifier)) + identifier
        self.socket.sendall(b"\x10" + remaining(len(variable)) + variable)
        self.socket.recv(4)
        threading.Thread(target=self.drain, daemon=True).start()

    def drain(self) -> None:
        while self.socket.recv(65536):
            pass

    def send(self, count: int) -> int:
        begun, batch = time.monotonic(), max(1, self.rate // 200)
        sent = 0
        while sent < count:
            self.socket.sendall(b"".join(self.publish() for _ in range(min(batch, count - sent))))
            sent += min(batch, count - sent)
            time.sleep(max(0.0, begun + sent / self.rate - time.monotonic()))
        return sent

    def publish(self) -> bytes:
        machine, second = self.row % self.machines, self.row // self.machines
        self.row += 1
        self.packet = self.packet % 65535 + 1
        swing = math.sin(2 * math.pi * second / 60)
        values = (
            f'"{name}":{level + wobble * (swing + self.random.gauss(0, 0.3)):.4f}'
            for name, (level, wobble) in CHANNELS.items()
        )
        payload = ("{" + ",".join(values) + "}").encode()
        topic = f"plant/m{machine:03}/telemetry".encode()
        variable = struct.pack(">H", len(topic)) + topic + struct.pack(">H", self.packet) + payload
        return b"\x32" + remaining(len(variable)) + variable


def remaining(length: int) -> bytes:
    """MQTT's variable-length integer."""
    encoded = bytearray()
    while True:
        length, digit = divmod(length, 128)
        encoded.append(digit | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


def cpu_of(pid: int) -> float:
    """Seconds of CPU, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def settled(pid: int) -> float:
    """Seconds of CPU once they rise no more."""
    before = -1.0
    while (now := cpu_of(pid)) - before > 0.02:
        before = now
        time.sleep(0.5)
    return now


def rss_of(pid: int) -> float:
    """Resident memory in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(done) -> None:
    deadline = time.monotonic() + 10
    while not done():
        if time.monotonic() > deadline:
            sys.exit("mosquitto does not listen")
        time.sleep(0.02)


if __name__ == "__main__":
    main()
