"""What one could do instead, each as a small Django project of its own over the same data.

bare.py      views that do nothing: constant bytes, one INSERT
plain.py     the plain Django way: ORM, DRF serializers, Django's default middleware
best_sql.py  one SQL statement for all that a page needs, and orjson
settings.py  BENCH_BASELINE says which of them
"""
