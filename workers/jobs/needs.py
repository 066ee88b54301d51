"""What the rows must have for a job, asked once more when a worker takes it up: much may have gone since it was queued."""

from service.store.needs import Payload, lacking
from service.store.projects import get_project
from workers.jobs.delivery import JobFailed, JobRun


def require_data(run: JobRun, payload: Payload) -> None:
    """Raises JobFailed, with the sentence that the API refuses such a job with, where there is nothing to do it with."""
    with run.worker.database.read() as session:
        sentence = lacking(session, get_project(session, run.project_id), payload, promised=False)
    if sentence:
        raise JobFailed(sentence)
