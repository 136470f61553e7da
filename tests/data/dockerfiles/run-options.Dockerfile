FROM debian:bookworm-slim
RUN --network=none ./offline-tests.sh
RUN --network=default --security=sandbox make
RUN --network=host ["curl", "http://localhost/"]
