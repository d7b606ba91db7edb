"""IPython settings of the course's kernels (see book/_tools/kernel.py)."""

c = get_config()  # noqa: F821 - IPython defines it

c.HistoryManager.enabled = False  # several kernels share this profile, and none needs a past
c.IPKernelApp.log_level = "ERROR"  # it warns that it talks over TCP, though only to this machine
c.PlainTextFormatter.float_precision = "%.6g"
