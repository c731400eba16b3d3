"""Stage `engine_choice`: find and verify the model's weights, and pin them for the workers."""

import asyncio

from prefect import task
from prefect.cache_policies import NO_CACHE

from longform.params import TranscribeParams
from longform.settings import Settings
from longform.speech import engine_choice
from longform.speech.engine import EngineSpec


@task(name="engine_choice", task_run_name="engine_choice {params.model}", cache_policy=NO_CACHE)
async def choose_engine(params: TranscribeParams, settings: Settings) -> EngineSpec:
    """Resolve the model by name, without loading it."""
    return await asyncio.to_thread(engine_choice.choose_engine, params, settings)
