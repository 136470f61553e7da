FROM sphinxdoc/sphinx:7.4.7 AS docs
WORKDIR docs
ADD requirements.txt /docs
RUN pip3 install -r requirements.txt
COPY . .
RUN make html
FROM nginx:alpine
COPY --from=docs /docs/_build/html /usr/share/nginx/html
EXPOSE 127.0.0.1:80:80
