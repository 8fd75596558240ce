# The service, without PyTorch: docker build -f docker/service.Dockerfile -t amrs-service .
# It runs as nobody in particular over a read-only root: AMRS_HOME and /tmp are the only places it writes to.
FROM python:3.11-slim-bookworm AS build
RUN python -m venv /opt/amrs
ENV PATH=/opt/amrs/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY . .
RUN pip install -c constraints.txt '.[service,tracing]'

FROM python:3.11-slim-bookworm
RUN useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin amrs \
 && install -d -o amrs -g amrs -m 0700 /var/lib/amrs
COPY --from=build /opt/amrs /opt/amrs
ENV PATH=/opt/amrs/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 OMP_NUM_THREADS=1 AMRS_HOME=/var/lib/amrs
USER 10001:10001
WORKDIR /var/lib/amrs
VOLUME /var/lib/amrs
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["amrs", "serve"]
