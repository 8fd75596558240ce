# From listening logs to a sealed bundle, on CPU: docker build -f docker/training.Dockerfile -t amrs-training .
# With another index PyTorch comes for CUDA: --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cu126
FROM python:3.11-slim-bookworm AS build
ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN python -m venv /opt/amrs
ENV PATH=/opt/amrs/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY . .
RUN pip install --extra-index-url "$TORCH_INDEX" -c constraints.txt '.[training]'

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin amrs \
 && install -d -o amrs -g amrs -m 0700 /var/lib/amrs
COPY --from=build /opt/amrs /opt/amrs
ENV PATH=/opt/amrs/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 AMRS_HOME=/var/lib/amrs MPLCONFIGDIR=/tmp
USER 10001:10001
WORKDIR /var/lib/amrs
VOLUME /var/lib/amrs
CMD ["amrs", "train", "--help"]
