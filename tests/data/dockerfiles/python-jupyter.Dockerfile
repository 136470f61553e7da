FROM debian:bookworm-slim
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN apt-get update \
 && apt-get install -y --no-install-recommends python3 python3-pip \
 # notebooks need a terminal
 && apt-get install -y --no-install-recommends tini \

 && rm -rf /var/lib/apt/lists/*
ARG NB_USER=jovyan
ARG NB_UID=1000
RUN useradd -m -s /bin/bash -u $NB_UID $NB_USER
USER $NB_UID
WORKDIR /home/$NB_USER
VOLUME ["/home/jovyan/work"]
ENTRYPOINT ["tini", "-g", "--"]
CMD start-notebook.sh
