"""What people may ask about their data: a copy of it, and proof that it is gone.

Above all apps, because it is about what each of them stores.
"""
