"""The commands of `m2fnet`, a file for each kind of work; what they need is imported when they run."""
