# Two images from one file: `api` without torch, with the pages; `worker` with torch.
FROM node:20-bookworm-slim AS pages
WORKDIR /build/web
COPY web/package.json web/package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY web ./
RUN npm run build

FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /app
RUN groupadd --system --gid 10001 regionwise && useradd --system --uid 10001 --gid 10001 regionwise \
    && mkdir -p /data && chown 10001:10001 /data
COPY pyproject.toml README.md LICENSE ./
# Dependencies first, so that a change of the code does not install them again.
RUN mkdir -p service models workers migrations \
    && touch service/__init__.py models/__init__.py workers/__init__.py migrations/__init__.py \
    && pip install '.[s3]'

FROM base AS api
COPY alembic.ini ./
COPY migrations migrations
COPY service service
COPY --from=pages /build/service/static service/static
# Compiled here: nothing can be written at run time.
RUN pip install --no-deps --editable . && python -m compileall -q service migrations
# By number, for Kubernetes sees by it that this is not root.
USER 10001:10001
ENV REGIONWISE_DATA_DIR=/data REGIONWISE_HOST=0.0.0.0
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=6 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
CMD ["regionwise", "serve"]

FROM base AS worker
# https://download.pytorch.org/whl/cpu makes an image without CUDA.
ARG TORCH_INDEX=""
RUN pip install ${TORCH_INDEX:+--index-url "$TORCH_INDEX"} "torch>=2.13,<2.14" && pip install ".[worker]"
COPY alembic.ini ./
COPY migrations migrations
COPY service service
COPY models models
COPY workers workers
RUN pip install --no-deps --editable . && python -m compileall -q service models workers migrations
USER 10001:10001
ENV REGIONWISE_DATA_DIR=/data
# This worker and no other; without --app, which would import torch each time.
HEALTHCHECK --interval=30s --timeout=20s --start-period=60s --retries=3 \
    CMD celery --broker "$REGIONWISE_BROKER_URL" inspect ping --destination "celery@$(hostname)" --timeout 10
CMD ["regionwise", "worker"]
