"""Secrets that the server keeps: the webhook's, and what runs need to reach object stores.

Only what this process is given on purpose goes there: `LONGFORM_SECRET_AWS_ACCESS_KEY_ID`, not
whatever credentials the operator's shell happens to have.
"""

import os
from collections.abc import Iterator, Mapping

from prefect.blocks.system import Secret
from prefect.client.orchestration import PrefectClient

from deployments.change import Change
from infra.secret_blocks import SECRET_TYPE, WEBHOOK_KEY, WEBHOOK_URL, read_secret

KIND = "secret"
GIVEN_PREFIX = "LONGFORM_SECRET_"  # + the variable that a run gets
BLOCK_PREFIX = "longform-env-"
OF_WEBHOOK = {"LONGFORM_WEBHOOK_URL": WEBHOOK_URL, "LONGFORM_WEBHOOK_SECRET": WEBHOOK_KEY}


async def apply_blocks(*, dry_run: bool) -> list[Change]:
    """Keep the secrets that this process was given; an empty one changes nothing."""
    return [await _apply(name, value, dry_run=dry_run) for name, value in given_secrets(os.environ)]


def given_secrets(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield the name of the block and the value of every secret that was given."""
    for variable, value in sorted(environment.items()):
        name = OF_WEBHOOK.get(variable)
        if variable.startswith(GIVEN_PREFIX):
            name = BLOCK_PREFIX + variable.removeprefix(GIVEN_PREFIX).lower().replace("_", "-")
        if name and value.strip():
            yield name, value


async def _apply(name: str, value: str, *, dry_run: bool) -> Change:
    there = await read_secret(name)
    if there is not None and there.get_secret_value() == value:
        return Change(KIND, name, "unchanged")
    if not dry_run:
        await Secret(value=value).save(name, overwrite=True)
    return Change(KIND, name, "created" if there is None else "changed")


async def secret_environment(api: PrefectClient, planned: list[Change]) -> dict[str, str]:
    """Return the variables of runs that come from secrets, as references to their blocks.

    Args:
        planned: what has become, or would become, of the secrets given now.
    """
    documents = await api.read_block_documents_by_type(SECRET_TYPE, include_secrets=False)
    names = {str(document.name) for document in documents} | {each.name for each in planned}
    return {
        name.removeprefix(BLOCK_PREFIX).upper().replace("-", "_"): (
            f"{{{{ prefect.blocks.{SECRET_TYPE}.{name} }}}}"
        )
        for name in sorted(names)
        if name.startswith(BLOCK_PREFIX)
    }
