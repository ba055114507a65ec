"""The whole way beside the peer: the daemon and a Python script of paho-mqtt and onnxruntime in turn on the same mosquitto, with the
same telemetry and the same model file.

    cargo build --release
    pip install paho-mqtt onnxruntime numpy orjson
    python benches/peer/run.py --peer ../shared/peer/peer.py [--rounds 3] [--rate 4000] [--machines 100] [--seconds 15]

With `--package FOLDER --kinds FOLDER` both take another network: a package, and the folder with the profile of its kind.

Both learn from 400 samples a machine, then score; what is measured begins afterwards. The load comes from a bare socket, so that it
takes little from either. CPU is what the kernel counts for the process; it covers receiving, decoding, scoring and acknowledging.
At saturation, the samples of a burst come as fast as the broker hands them out; what a sample costs then says how many a second
one core could take, whoever else uses this machine. From a sample to its alarm is the time from the stamp that it got on being sent to the
arrival of the message that names this stamp, at a quarter of the rate; both raise at once, without a delay for chatter.
"""

import argparse
import json
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
import tomllib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parent.parent.parent
BINARY = ROOT / "target" / "release" / "wheeltapper"
LEARNED = 400
# Samples a second, more than the broker hands out; as many as it may queue.
FLOOD, BURST = 100_000, 40_000
# Rows of a machine from the start of a fault to the next, and those of them that are faulty; how many wobbles they jump to and fro,
# which no network takes for a load.
PERIOD, FAULTY, MOVED = 120, 40, 12.0
# The peer's, over the 99th percentile of what it learned: with its usual 3.0 it hears none of these faults, for it takes the mean over a whole window.
LIMIT = "1.0"
# Level and wobble of the channels whose limits a made-up value would break.
LEVELS = {
    "CE": (47.0, 0.5), "CP": (2.1, 0.03), "SE": (55.0, 3.0), "VS1": (0.55, 0.03), "TS1": (35.0, 0.2),
    "TS2": (40.0, 0.2), "TS3": (38.0, 0.2), "TS4": (30.0, 0.2), "FS1": (6.4, 0.3), "FS2": (10.2, 0.05),
}
USUAL = (10.0, 0.5)
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, required=True, help="the peer's script")
    parser.add_argument("--package", type=Path, default=ROOT / "models" / "hydraulic-dae", help="a denoiser's folder")
    parser.add_argument("--kinds", type=Path, default=ROOT / "firmware-config" / "kinds", help="profiles of the kinds")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rate", type=int, default=4000, help="samples a second")
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=15.0)
    arguments = parser.parse_args()
    package = Package(arguments.package.resolve(), arguments.kinds.resolve(), arguments.peer)
    found = {"peer": [], "wheeltapper": []}
    for number in range(arguments.rounds):
        for name, start in [("peer", start_peer), ("wheeltapper", start_daemon)]:
            measured = measure(start, package, arguments)
            found[name].append(measured)
            told = ", ".join(f"{what} {value:.1f}" for what, value in zip(FIGURES, measured))
            print(f"round {number + 1}, {name}: {told}", flush=True)
    columns = {name: [median(column) for column in zip(*rows)] for name, rows in found.items()}
    print(
        f"\n{package.name}, {arguments.rate} samples/s, {arguments.machines} machines x {len(package.channels)} channels, QoS 1, "
        f"medians of {arguments.rounds}\n"
    )
    print("| | peer | wheeltapper | peer / wheeltapper |\n|---|---|---|---|")
    for what, peer, ours in zip(FIGURES, columns["peer"], columns["wheeltapper"]):
        print(f"| {what} | {peer:.1f} | {ours:.1f} | {peer / ours:.1f} |")
    peer, ours = (1e6 / columns[name][1] for name in ("peer", "wheeltapper"))
    print(f"| samples/s that one core takes, by its CPU time | {peer:,.0f} | {ours:,.0f} | {peer / ours:.2f} |")
    peer, ours = size_of(Path(sys.prefix)), size_of(BINARY)
    print(f"| size on disk, MB | {peer:.1f} | {ours:.1f} | {peer / ours:.1f} |")


FIGURES = [
    "CPU a sample, µs", "CPU a sample at saturation, µs", "from a sample to its alarm, p50, ms", "the same, p99, ms", "memory, MiB",
    "start to ready, ms",
]


class Package:
    """What either side is started with."""

    def __init__(self, folder: Path, kinds: Path, peer: Path):
        manifest = tomllib.loads((folder / "manifest.toml").read_text())
        self.folder, self.kinds, self.name, self.kind = folder, kinds, manifest["name"], manifest["kind"]
        self.peer, self.model = peer, folder / "denoiser.onnx"
        self.window = manifest["contract"]["window"]
        self.channels = {it["name"]: LEVELS.get(it["name"], USUAL) for it in manifest["contract"]["channel"]}


def measure(start, package: Package, arguments) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        broker = start_broker(port, Path(folder))
        try:
            begun = time.monotonic()
            process, is_ready = start(port, Path(folder), package)
            try:
                while not is_ready():
                    if process.poll() is not None:
                        sys.exit(f"it ended with {process.returncode}")
                    time.sleep(0.002)
                ready = 1000 * (time.monotonic() - begun)
                time.sleep(1)
                load = Load(port, package.channels, arguments.machines, arguments.rate)
                load.send(LEARNED * arguments.machines + 2000)
                before = settled(process.pid)
                sent = load.send(int(arguments.rate * arguments.seconds))
                between = settled(process.pid)
                load.rate = FLOOD
                burst = load.send(BURST)
                after = settled(process.pid)
                costs = [1e6 * (between - before) / sent, 1e6 * (after - between) / burst]
                return [*costs, *alarm_latency(load, port, arguments), rss_of(process.pid), ready]
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(10)
        finally:
            broker.kill()
            broker.wait()


def alarm_latency(load: "Load", port: int, arguments) -> tuple[float, float]:
    """Median and 99th percentile in ms, from the sample that raises or clears an alarm to its message at a reader."""
    reader = Reader(port, load)
    load.rate, load.with_faults = arguments.rate // 4, True
    load.send(2 * PERIOD * arguments.machines)
    time.sleep(2)
    if len(reader.latencies) < 100:
        sys.exit(f"{len(reader.latencies)} alarms: that says nothing of their way; expected 100 or more, give more --machines")
    cut = quantiles(reader.latencies, n=100, method="inclusive")
    return cut[49], cut[98]


def start_broker(port: int, folder: Path) -> subprocess.Popen:
    configuration = folder / "mosquitto.conf"
    configuration.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\nmax_inflight_messages 200\nmax_queued_messages 100000\n"
    )
    binary = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    broker = subprocess.Popen([binary, "-c", str(configuration)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(lambda: connects(port))
    return broker


def start_peer(port: int, folder: Path, package: Package):
    command = [sys.executable, str(package.peer), str(package.model), "--port", str(port)]
    command += ["--window", str(package.window), "--channels", str(len(package.channels)), "--limit", LIMIT]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    said = threading.Event()
    threading.Thread(target=lambda: process.stdout.readline() and said.set(), daemon=True).start()
    return process, said.is_set


def start_daemon(port: int, folder: Path, package: Package):
    configuration = folder / "wheeltapper.toml"
    configuration.write_text(
        f'gateway = "g1"\nstate_dir = "{folder}/state"\nmodels = "{package.folder.parent}"\nkinds = "{package.kinds}"\nallow_unsigned = true\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {port}\n[[input]]\ntopic = "plant/{{machine}}/telemetry"\n'
        f'[machine_defaults]\nkind = "{package.kind}"\ncalibrate = {LEARNED}\ncadence = "1s"\n'
        f'[alarm]\nraise_after = "0s"\nclear_after = "0s"\n'
    )
    notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    notify.bind(str(folder / "notify"))
    notify.setblocking(False)
    command = [BINARY, "run", "--config", configuration]
    environment = {**os.environ, "NOTIFY_SOCKET": str(folder / "notify")}
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment)

    def is_ready() -> bool:
        try:
            return b"READY=1" in notify.recv(4096)
        except BlockingIOError:
            return False

    return process, is_ready


class Client:
    """As much of MQTT 3.1.1 as the load and the reader need, over a bare socket."""

    def __init__(self, port: int, identifier: bytes):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        variable = b"\x00\x04MQTT\x04\x02\x00\x00" + text(identifier)
        self.socket.sendall(b"\x10" + remaining(len(variable)) + variable)
        self.socket.recv(4)


class Load(Client):
    """Publishes at QoS 1 at a steady rate. A machine's stamps are a second apart, whatever the rate."""

    def __init__(self, port: int, channels: dict[str, tuple[float, float]], machines: int, rate: int):
        super().__init__(port, b"load")
        self.random = random.Random(7)
        self.channels, self.machines, self.rate, self.row, self.packet = channels, machines, rate, 0, 0
        self.with_faults, self.sent = False, {}
        self.begin = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(hours=6)
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
        # Machines fall ill one after another, never all at once.
        ill = self.with_faults and (second + 7 * machine) % PERIOD < FAULTY
        jump = MOVED * (-1) ** second if ill else 0.0
        values = (
            f'"{name}":{level + wobble * (swing + self.random.gauss(0, 0.3) + jump):.4f}'
            for name, (level, wobble) in self.channels.items()
        )
        named = f"m{machine:03}"
        stamp = (self.begin + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S.000Z")
        payload = (f'{{"time":"{stamp}",' + ",".join(values) + "}").encode()
        if self.with_faults:
            self.sent[named, stamp] = time.monotonic()
        variable = text(f"plant/{named}/telemetry".encode()) + struct.pack(">H", self.packet) + payload
        return b"\x32" + remaining(len(variable)) + variable


class Reader(Client):
    """Hears of the alarms of either side and notes how long the sample that each names has been on its way, in ms."""

    def __init__(self, port: int, load: Load):
        super().__init__(port, b"reader")
        self.load, self.latencies = load, []
        topics = b"".join(text(topic) + b"\x00" for topic in (b"alerts/+", b"wheeltapper/v1/+/+/event"))
        self.socket.sendall(b"\x82" + remaining(2 + len(topics)) + b"\x00\x01" + topics)
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        stream = self.socket.makefile("rb")
        while kind := stream.read(1):
            length, shift = 0, 0
            while (digit := stream.read(1)[0]) & 0x80:
                length, shift = length | (digit & 0x7F) << shift, shift + 7
            body = stream.read(length | digit << shift)
            arrived = time.monotonic()
            if kind == b"\x30":
                message = json.loads(body[2 + struct.unpack(">H", body[:2])[0] :])
                sent = self.load.sent.get((message["machine"], message.get("sample_time") or message.get("time")))
                if sent is not None:
                    self.latencies.append(1000 * (arrived - sent))


def text(content: bytes) -> bytes:
    """MQTT's string, its length before it."""
    return struct.pack(">H", len(content)) + content


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
    """Seconds of CPU once they rise no more: whoever cannot keep up is given the time to catch up."""
    before = -1.0
    while (now := cpu_of(pid)) - before > 0.05:
        before = now
        time.sleep(1)
    return now


def rss_of(pid: int) -> float:
    """Resident memory in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def size_of(path: Path) -> float:
    """Of a file, or of all in a folder, in MB."""
    return sum(it.lstat().st_size for it in ([path] if path.is_file() else path.rglob("*")) if it.is_file()) / 1e6


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
