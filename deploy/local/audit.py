"""`make audit`: does anything that requirements.txt pins have a known vulnerability?"""

import json
import subprocess
from collections.abc import Mapping, Sequence
from typing import Any

from deploy.local import bootstrap
from deploy.local.errors import StackError
from deploy.local.requirements import RUNTIME

# The pins are complete and hashed: nothing is resolved or downloaded, only asked about.
PIP_AUDIT = [
    *bootstrap.command("audit", "pip-audit", "--requirement", str(RUNTIME)),
    *("--require-hashes", "--disable-pip", "--format", "json", "--progress-spinner", "off"),
]
# What pip-audit ends with when the service does not answer, or not as it should.
UNREACHABLE = ("requests.exceptions.", "ServiceError", "'s vulnerability feed")


def audit(options: Sequence[str]) -> int:
    """Ask about each pinned package and print what is known; `options` go to pip-audit.

    Returns 1 when a vulnerability is known, else 0. What could not be audited, because the service
    can't be reached or does not know it, is said and no failure.

    Raises:
        StackError: pip-audit failed for another reason.
    """
    done = subprocess.run([*PIP_AUDIT, *options], capture_output=True, text=True, check=False)
    if not done.stdout.startswith("{"):
        if any(words in done.stderr for words in UNREACHABLE):
            reason = done.stderr.strip().splitlines()[-1]
            print(f"audit: SKIPPED, the vulnerability service can't be reached: {reason}")
            return 0
        raise StackError(f"pip-audit failed:\n{done.stderr}")
    return report(json.loads(done.stdout)["dependencies"])


def report(packages: Sequence[Mapping[str, Any]]) -> int:
    """Print what pip-audit found, its `dependencies`; return 1 when one is vulnerable, else 0."""
    audited = [package for package in packages if "skip_reason" not in package]
    vulnerable = [package for package in audited if package["vulns"]]
    for package in vulnerable:
        for found in package["vulns"]:
            names = ", ".join([found["id"], *found["aliases"]])
            fixed = ", ".join(found["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {names}; fixed in {fixed}")
    # An index that only offers downloads answers "not found" for each: that is no good news.
    if len(audited) < len(packages):
        unknown = ", ".join(each["name"] for each in packages if each not in audited)
        print(f"audit: SKIPPED, the vulnerability service does not know {unknown}")
    print(f"audit: {len(audited)} packages audited, {len(vulnerable)} of them vulnerable")
    return 1 if vulnerable else 0
