//! One machine: files, units, commands, journal, operating system backends.
