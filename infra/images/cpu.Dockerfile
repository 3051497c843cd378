# Workers without a GPU, and the servers of infra/compose: `docker build -f infra/images/cpu.Dockerfile -t rpt:cpu .`
# PIP_ARGS: what pip is told besides, for example an index with CPU builds of torch, which are 4 GB smaller.
FROM python:3.11.14-slim-bookworm AS build
ARG PIP_ARGS=""
WORKDIR /opt/rpt
# The lock changes seldom, the code often: libraries have a layer of their own.
COPY pyproject.toml constraints.txt infra/images/requirements.py ./
RUN python -m venv .venv && python requirements.py servers >requirements.txt
# hadolint ignore=SC2086
RUN .venv/bin/pip install --no-cache-dir ${PIP_ARGS} -c constraints.txt -r requirements.txt
COPY README.md LICENSE prefect.yaml ./
COPY rpt_core rpt_core
COPY infra infra
COPY tasks tasks
COPY flows flows
# hadolint ignore=SC2086
RUN .venv/bin/pip install --no-cache-dir ${PIP_ARGS} --no-deps -e . && rm requirements.py requirements.txt
# What every run loads is compiled here, once; a library that cannot be loaded ends the build.
RUN .venv/bin/python -W ignore -c 'import rpt_core.train.rl.reinforce, tasks.build, infra.metrics.projection' \
    && .venv/bin/python -W ignore -c 'import prefect.server.api.server, mlflow.server, psycopg2, boto3'

FROM python:3.11.14-slim-bookworm
RUN useradd --uid 10001 --create-home --shell /usr/sbin/nologin rpt \
    && install --directory --owner=rpt --group=rpt /state
COPY --from=build /opt/rpt /opt/rpt
ENV PATH=/opt/rpt/.venv/bin:$PATH \
    RPT_WORKDIR=/opt/rpt \
    RPT_HOME=/state \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    MLFLOW_DISABLE_TELEMETRY=true \
    PREFECT_SERVER_ANALYTICS_ENABLED=false \
    DO_NOT_TRACK=1
USER 10001
WORKDIR /state
CMD ["rpt", "--help"]
