"""The servers that the clients of this directory talk to: each is Debian's own, in the foreground, on a free port of
the loopback, with a configuration and a directory of its own. Nothing in /etc or /var is used. Run by root, they are
nobody's processes: most of them refuse root.

A server is started by entering its `with` block and has answered when that begins; it is gone, with its directory and
whatever processes it started, when the block is left. `where` tells, per kind of client.h, how a client finds it.
"""
import contextlib
import ctypes
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
PATIENCE = 120  # seconds until one that does not answer counts as broken: beside other work RabbitMQ takes many


class NotInstalled(Exception):
    """What the server is, and the package that has it."""


def find(program, package, *places):
    found = shutil.which(program, path=os.pathsep.join([*places, os.environ['PATH'], '/usr/sbin']))
    if not found:
        raise NotInstalled(f'{program} is not installed: {package}')
    return found


def free_port():
    """One that nobody has, and below those that the kernel gives to connections: until a server has it, some time may
    pass, in which many are made."""
    first = int(pathlib.Path('/proc/sys/net/ipv4/ip_local_port_range').read_text().split()[0])
    while True:
        port = random.randrange(first // 2, first)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(('127.0.0.1', port))
            return port


class Server:
    kinds = ()

    def __enter__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix='coir-clients-'))
        self.processes = []
        self.port = free_port()
        self.environment = {'PATH': os.environ['PATH'], 'LC_ALL': 'C', 'HOME': str(self.directory)}
        try:
            if os.getuid() == 0:
                shutil.chown(self.directory, 'nobody', 'nogroup')
            self.start()
            self.wait_until_it_answers()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def where(self, kind, port=None):
        return f'127.0.0.1:{port or self.port}'

    def launch(self, *command, **more):
        """A process of nobody's, leader of its own group."""
        if os.getuid() == 0:
            more.update(user='nobody', group='nogroup', extra_groups=[])
        with open(self.directory / 'log', 'ab') as log:
            return subprocess.Popen(command, cwd=self.directory, env=self.environment, stdin=subprocess.DEVNULL,
                                    start_new_session=True, **{'stdout': log, 'stderr': log, **more})

    def serve(self, *command, **more):
        self.processes.append(self.launch(*command, **more))

    def prepare(self, *command):
        """Runs a program that prepares the directory."""
        if self.launch(*command).wait() != 0:
            raise RuntimeError(f'{command[0]} failed\n{self.log()}')

    def write(self, name, text):
        path = self.directory / name
        path.write_text(text)
        path.chmod(0o644)
        return path

    def log(self):
        path = self.directory / 'log'
        return path.read_text(errors='replace') if path.exists() else ''

    def answers(self):
        """It can be connected to."""
        with contextlib.suppress(OSError):
            socket.create_connection(('127.0.0.1', self.port), 5).close()
            return True
        return False

    def wait_until_it_answers(self):
        end = time.monotonic() + PATIENCE
        while not self.answers():
            for process in self.processes:
                if process.poll() is not None:
                    raise RuntimeError(f'{process.args[0]} ended: {process.returncode}\n{self.log()}')
            if time.monotonic() > end:
                raise RuntimeError(f'{self.processes[-1].args[0]} does not answer\n{self.log()}')
            time.sleep(0.05)

    def kill(self):
        """Without a word to its clients. Whatever they started has the same group, or ends with them."""
        for process in reversed(self.processes):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def stop(self):
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class Nginx(Server):
    """Waits before it answers as many seconds as the path says."""
    kinds = ('http', 'https', 'openssl')

    def start(self):
        self.tls_port = free_port()
        # Elliptic: cheap for both sides.
        self.prepare(find('openssl', 'openssl'), 'req', '-x509', '-newkey', 'ec', '-pkeyopt',
                     'ec_paramgen_curve:prime256v1', '-noenc', '-keyout', 'key.pem', '-out', 'certificate.pem', '-days',
                     '2', '-subj', '/CN=127.0.0.1', '-addext', 'subjectAltName=IP:127.0.0.1')
        echo = pathlib.Path('/usr/lib/nginx/modules/ngx_http_echo_module.so')
        if not echo.exists():
            raise NotInstalled('nginx has no echo module: libnginx-mod-http-echo')
        scratch = ''.join(f'{name}_temp_path {self.directory}/{name}; '
                          for name in ('client_body', 'fastcgi', 'proxy', 'scgi', 'uwsgi'))
        configuration = self.write('nginx.conf', f"""
            load_module {echo};
            daemon off; pid {self.directory}/pid; error_log stderr; worker_processes 1;
            events {{ worker_connections 1024; }}
            http {{
                access_log off; {scratch}
                server {{
                    listen 127.0.0.1:{self.port} backlog=1024;
                    listen 127.0.0.1:{self.tls_port} ssl backlog=1024;
                    ssl_certificate certificate.pem; ssl_certificate_key key.pem;
                    location = /0 {{ echo "waited 0"; }}
                    location ~ ^/([0-9.]+)$ {{ set $wait $1; echo_sleep $wait; echo "waited $wait"; }}
                }}
            }}""")
        self.serve(find('nginx', 'nginx-light'), '-p', f'{self.directory}/', '-c', str(configuration), '-e', 'stderr')

    def where(self, kind, port=None):
        address = f'127.0.0.1:{port or (self.port if kind == "http" else self.tls_port)}'
        return address if kind == 'openssl' else f'{kind}://{address}/'

    @property
    def authority(self):
        return str(self.directory / 'certificate.pem')


class Ftp(Server):
    kinds = ('ftp',)

    def start(self):
        if subprocess.run(['/usr/bin/python3', '-c', 'import pyftpdlib'], stderr=subprocess.DEVNULL).returncode:
            raise NotInstalled('no ftp server: python3-pyftpdlib')
        for wait in ('0', '0.01', '0.05', '0.1', '0.2', '3', '300'):
            self.write(wait, f'waited {wait}\n')
        with open(HERE / 'ftp_server.py') as program:  # handed over: nobody may be unable to reach it
            self.serve('/usr/bin/python3', '-c', program.read(), str(self.port), str(self.directory))

    def where(self, kind, port=None):
        return f'ftp://127.0.0.1:{port or self.port}/'


class Postgres(Server):
    kinds = ('postgres',)

    def start(self):
        places = sorted(map(str, pathlib.Path('/usr/lib/postgresql').glob('*/bin')), reverse=True)
        # What was written is not flushed to the disk: nobody wants it back.
        self.prepare(find('initdb', 'postgresql', *places), '-D', 'data', '-U', 'tester', '-A', 'trust', '--no-sync')
        self.serve(find('postgres', 'postgresql', *places), '-D', 'data', '-p', str(self.port), '-h', '127.0.0.1', '-k',
                   str(self.directory), '-F', '-c', 'max_connections=500',
                   '-c', 'client_connection_check_interval=1000')  # ms; else one that sleeps does not see its client go

    def where(self, kind, port=None):
        return f'host=127.0.0.1 port={port or self.port} user=tester dbname=postgres'

    def answers(self):
        ready = find('pg_isready', 'postgresql-client', *map(str, pathlib.Path('/usr/lib/postgresql').glob('*/bin')))
        return self.launch(ready, '-q', '-U', 'tester', '-h', '127.0.0.1', '-p', str(self.port)).wait() == 0


class MariaDB(Server):
    kinds = ('mariadb',)

    def start(self):
        data = self.directory / 'data'
        self.prepare(find('mariadb-install-db', 'mariadb-server-core'), '--no-defaults', f'--datadir={data}',
                     '--auth-root-authentication-method=normal', '--skip-test-db')
        user = self.write('user.sql', "create user tester@127.0.0.1;")
        self.serve(find('mariadbd', 'mariadb-server-core'), '--no-defaults', f'--datadir={data}',
                   f'--init-file={user}', '--bind-address=127.0.0.1', f'--port={self.port}',
                   f'--socket={self.directory}/socket', f'--pid-file={self.directory}/pid', '--back-log=300',
                   '--max-connections=2000',  # one that sleeps does not see its client go
                   '--skip-name-resolve', '--innodb-flush-log-at-trx-commit=0')


class Redis(Server):
    kinds = ('redis',)

    def start(self):
        self.serve(find('redis-server', 'redis-server'), '--port', str(self.port), '--bind', '127.0.0.1', '--save', '',
                   '--dir', str(self.directory), '--hz', '100')  # times are looked at so often, per second


class RabbitMQ(Server):
    kinds = ('rabbitmq',)

    def start(self):
        server = find('rabbitmq-server', 'rabbitmq-server', '/usr/lib/rabbitmq/bin')
        names = free_port()
        nowhere = self.write('nothing', '')
        self.write('rabbitmq.conf', f'listeners.tcp.1 = 127.0.0.1:{self.port}\nlog.console = true\nlog.file = false\n')
        self.environment.update({
            'ERL_EPMD_PORT': str(names), 'ERL_EPMD_ADDRESS': '127.0.0.1',
            'RABBITMQ_CONF_ENV_FILE': str(nowhere), 'RABBITMQ_CONFIG_FILE': str(self.directory / 'rabbitmq.conf'),
            'RABBITMQ_ENABLED_PLUGINS_FILE': str(nowhere), 'RABBITMQ_NODENAME': f'test{self.port}@localhost',
            'RABBITMQ_DIST_PORT': str(free_port()), 'RABBITMQ_MNESIA_BASE': str(self.directory),
            'RABBITMQ_LOG_BASE': str(self.directory), 'RABBITMQ_PID_FILE': str(self.directory / 'pid'),
            'RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS': '+S 1:1 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}',
        })
        self.serve(find('epmd', 'erlang-base'), '-port', str(names))  # else one is started that stays
        self.serve(server)

    def restart(self):
        """Killed without a word, and started again in the same place with what it has left there."""
        self.kill()
        while self.answers():  # the process that listens ends a little later than the one that was waited for
            time.sleep(0.05)
        self.processes.clear()
        self.start()
        self.wait_until_it_answers()

    def queues(self, *columns):
        """What it says of each of its queues: {name: {column: value}}."""
        control = find('rabbitmqctl', 'rabbitmq-server', '/usr/lib/rabbitmq/bin')
        asking = self.launch(control, '-n', self.environment['RABBITMQ_NODENAME'], '--quiet', '--formatter=json',
                             'list_queues', 'name', *columns, stdout=subprocess.PIPE)
        said, _ = asking.communicate()
        if asking.returncode != 0:
            raise RuntimeError(f'{control} failed\n{self.log()}')
        return {each.pop('name'): each for each in json.loads(said)}


ALL = (Nginx, Ftp, Postgres, MariaDB, Redis, RabbitMQ)


def of_kind(kind):
    return next(each for each in ALL if kind in each.kinds)


def environment(servers):
    """That of a client of them."""
    chosen = {name: value for name, value in os.environ.items() if name != 'LD_PRELOAD'}
    chosen['LC_ALL'] = 'C'
    for server in servers:
        if isinstance(server, Nginx):
            chosen['SSL_CERT_FILE'] = server.authority
    return chosen


def terminated(*_):
    """A test that meson ends leaves no server behind."""
    sys.exit(1)


signal.signal(signal.SIGTERM, terminated)


@contextlib.contextmanager
def nothing_left():
    """What servers started and left behind becomes a child of this process, and is ended and waited for at the end."""
    PR_SET_CHILD_SUBREAPER = 36
    if ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), 'prctl')
    try:
        yield
    finally:
        with contextlib.suppress(ChildProcessError):
            while True:
                children = pathlib.Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()
                for child in children:
                    os.kill(int(child), signal.SIGKILL)
                os.wait()
