"""`make bench`: what the service reaches, each time against something measured in turns with it.

__main__.py   what is measured, in which order
scale.py      how much of everything    figures.py  ratios, targets, rounds
data.py       the network             followers.py  many followers, and their homes
stack.py      the processes           load.py       the load generator
baselines/    what else one could do
reads.py      warm homes                counts.py   statements and round trips
latency.py    growth and cold reads     costs.py    where the time goes
fan_out.py    from tweet to homes       writes.py   posting and liking
population.py any reader's home         people.py   who reads and writes there
mixes.py      reads, posts and likes    in_process.py  the WSGI application alone
through_nginx.py  the same, behind it   heaviest.py pages, and memory
observability.py  metrics, traces and log lines; trace_picture.py draws docs/trace.png
report.py     docs/benchmarks.*         plots.py    docs/benchmarks/*.png
"""
