"""What operators ask: how is it now (`manage.py status`), is it set up right (`manage.py doctor`).

Above all apps, though it knows none: it looks at the parts that all of them share.
"""
