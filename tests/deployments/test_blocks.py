"""Which secrets go to the server: those that were given on purpose, and no others."""

from hypothesis import given
from hypothesis import strategies as st

from deployments.blocks import BLOCK_PREFIX, GIVEN_PREFIX, given_secrets

names = st.from_regex(r"[A-Z][A-Z0-9]{0,8}(_[A-Z0-9]{1,8}){0,3}", fullmatch=True)


def test_only_what_is_given_on_purpose() -> None:
    """Credentials of the operator's own shell stay there; empty values count as not given."""
    environment = {
        "AWS_SECRET_ACCESS_KEY": "the operator's",
        "LONGFORM_SECRET_AWS_SECRET_ACCESS_KEY": "the runs'",
        "LONGFORM_SECRET_AWS_SESSION_TOKEN": " ",
        "LONGFORM_WEBHOOK_SECRET": "whsec_x",
        "LONGFORM_WEBHOOK_URL": "",
        "LONGFORM_ENGINE_API_KEY": "not asked for",
    }
    assert dict(given_secrets(environment)) == {
        "longform-env-aws-secret-access-key": "the runs'",
        "longform-webhook-key": "whsec_x",
    }


@given(name=names)
def test_a_variable_finds_its_way_back(name: str) -> None:
    """The name of a block is one that Prefect takes, and names the variable that runs get."""
    ((block, value),) = given_secrets({GIVEN_PREFIX + name: "x"})
    assert value == "x"
    assert set(block) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert block.removeprefix(BLOCK_PREFIX).upper().replace("-", "_") == name
