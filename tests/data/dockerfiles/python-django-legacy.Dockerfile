FROM python:2.7
MAINTAINER Web Team <web@example.org>
ENV PYTHONUNBUFFERED 1
ENV DJANGO_SECRET_KEY changeme
RUN mkdir /code
WORKDIR code
ADD requirements.txt /code/
RUN pip install -r requirements.txt
ADD . /code/
EXPOSE 0.0.0.0:80:8000/TCP
CMD python manage.py runserver 0.0.0.0:8000
