"""Installs what the platform runs on: jars by pinned coordinates, and a Java runtime.

``install_jars``, ``missing_jars`` and ``find_java`` are what the rest of `runtime` uses;
``python -m runtime.install`` is the last step of the bootstrap.
"""

from runtime.install.jars import install_jars, missing_jars, read_jar_lock
from runtime.install.java import Java, find_java

__all__ = ["Java", "find_java", "install_jars", "missing_jars", "read_jar_lock"]
