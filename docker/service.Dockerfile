# The service, without PyTorch: docker build -f docker/service.Dockerfile -t amrs-service .
FROM python:3.11-slim AS build
RUN python -m venv /opt/amrs
ENV PATH=/opt/amrs/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /src
COPY . .
RUN pip install -c constraints.txt '.[service]'

FROM python:3.11-slim
RUN useradd --uid 10001 --create-home amrs && install -d -o amrs -g amrs /var/lib/amrs
COPY --from=build /opt/amrs /opt/amrs
ENV PATH=/opt/amrs/bin:$PATH PYTHONUNBUFFERED=1 AMRS_HOME=/var/lib/amrs
USER amrs
WORKDIR /var/lib/amrs
VOLUME /var/lib/amrs
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8000/healthz', timeout=2)"]
CMD ["amrs", "serve"]
