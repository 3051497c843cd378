# Workers with NVIDIA GPUs: `docker build -f infra/images/gpu.Dockerfile -t rpt:gpu .`
# The driver comes from the machine, CUDA's libraries with torch; vLLM has an environment of its own beside.
# VLLM=cpu puts vLLM's CPU build there instead: for a trial of the image on a machine without GPUs.
FROM python:3.11.14-slim-bookworm AS build
ARG PIP_ARGS=""
# DeepSpeed comes as source: its build must not look for a compiler and CUDA.
ENV DS_BUILD_OPS=0
WORKDIR /opt/rpt
COPY pyproject.toml constraints.txt infra/images/requirements.py ./
RUN python -m venv .venv && python requirements.py deepspeed ray >requirements.txt
# hadolint ignore=SC2086
RUN .venv/bin/pip install --no-cache-dir ${PIP_ARGS} -c constraints.txt -r requirements.txt
COPY README.md LICENSE prefect.yaml ./
COPY rpt_core rpt_core
COPY infra infra
COPY tasks tasks
COPY flows flows
# hadolint ignore=SC2086
RUN .venv/bin/pip install --no-cache-dir ${PIP_ARGS} --no-deps -e . && rm requirements.py requirements.txt
RUN .venv/bin/python -W ignore -c 'import rpt_core.train.rl.reinforce, tasks.build, infra.metrics.projection'

FROM python:3.11.14-slim-bookworm AS vllm
ARG PIP_ARGS=""
ARG VLLM=gpu
WORKDIR /opt/rpt
COPY constraints.txt ./
COPY infra/vllm infra/vllm
RUN PYTHON=python PIP_ARGS="--no-cache-dir ${PIP_ARGS}" sh infra/vllm/setup.sh "${VLLM}"

FROM python:3.11.14-slim-bookworm
# Triton compiles a launcher for each kernel when it is first used, and needs a C compiler for that.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home --shell /usr/sbin/nologin rpt \
    && install --directory --owner=rpt --group=rpt /state
COPY --from=vllm /opt/rpt/.venv-vllm /opt/rpt/.venv-vllm
COPY --from=build /opt/rpt /opt/rpt
ENV PATH=/opt/rpt/.venv/bin:$PATH \
    RPT_WORKDIR=/opt/rpt \
    RPT_HOME=/state \
    RPT_VLLM_PYTHON=/opt/rpt/.venv-vllm/bin/python \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    OMP_WAIT_POLICY=PASSIVE \
    MLFLOW_DISABLE_TELEMETRY=true \
    DO_NOT_TRACK=1
USER 10001
WORKDIR /state
CMD ["rpt", "doctor", "--gpu"]
