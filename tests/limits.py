"""Rate limits that no test meets, as environment variables.

Requests are counted as ever. But those of the tests and of the bench come from one address, and few
users do in seconds what takes people a day.
"""

NOBODY_MEETS = {
    f"RATE_LIMIT_{name}": "1000000000/60"
    for name in (
        *(f"READS_PER_{subject}" for subject in ("USER", "TOKEN", "ADDRESS")),
        *(f"WRITES_PER_{subject}" for subject in ("USER", "TOKEN", "ADDRESS")),
        "LOG_INS_PER_ADDRESS",
        "ADMIN_LOG_INS_PER_ADDRESS",
        "PASSWORD_CHECKS_PER_TOKEN",
        "SIGN_UPS_PER_ADDRESS",
        "EMAIL_CHANGES_PER_USER",
        *(f"EXPORTS_PER_{subject}" for subject in ("USER", "ADDRESS")),
    )
}
