"""What a running server costs: processor time and memory."""

import psutil


class Meter:
    """Of one process, by its id."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def cpu_s(self) -> float:
        """Returns the processor time that it has used so far, its own and the kernel's for it."""
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def memory_mb(self) -> float:
        """Returns what it holds in memory now (RSS), in MB."""
        return float(self._process.memory_info().rss / 1e6)
