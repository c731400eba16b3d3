"""Addresses that lead, or pretend to lead, where no source may lie.

`{p}` is the port of the trap, `{u}` the path of its Unix socket, `{f}` a file that holds a
secret. Every spelling is tried three ways: on the command line, as the flow's parameter, and
as the target of a redirect from a server that may be used.
"""

# ruff: noqa: RUF001  (letters that only look like others are what this is about)

# Spellings of IPv4 addresses of this machine and its surroundings.
IPV4 = (
    "http://127.0.0.1:{p}/a.mp3",
    "http://127.8.8.8:{p}/a.mp3",
    "http://127.1:{p}/a.mp3",
    "http://127.0.1:{p}/a.mp3",
    "http://0177.1:{p}/a.mp3",
    "http://0177.0.0.1:{p}/a.mp3",
    "http://00000177.0.0.01:{p}/a.mp3",
    "http://0x7f.1:{p}/a.mp3",
    "http://0X7F.0x0.0x0.0X1:{p}/a.mp3",
    "http://0x7f000001:{p}/a.mp3",
    "http://2130706433:{p}/a.mp3",
    "http://017700000001:{p}/a.mp3",
    "http://127.0x1:{p}/a.mp3",
    "http://0:{p}/a.mp3",
    "http://0.0.0.0:{p}/a.mp3",
    "http://00.0:{p}/a.mp3",
    "http://127.0.0.1.:{p}/a.mp3",
    "http://127。0。0。1:{p}/a.mp3",
    "http://１２７．０．０．１:{p}/a.mp3",
    "http://①②⑦.⓪.⓪.①:{p}/a.mp3",
    "http://٣٢٧.٠.٠.١:{p}/a.mp3",
    "http://127.0.0.1%00:{p}/a.mp3",
    "http://%31%32%37.0.0.1:{p}/a.mp3",
    "http://127%2e0%2e0%2e1:{p}/a.mp3",
    "http://4294967297:{p}/a.mp3",
    "http://340282366920938463463374607431768211457:{p}/a.mp3",
    "http://10.0.0.1:{p}/a.mp3",
    "http://192.168.0.1:{p}/a.mp3",
    "http://172.16.0.1:{p}/a.mp3",
    "http://100.64.0.1:{p}/a.mp3",
    "http://198.18.0.1:{p}/a.mp3",
    "http://224.0.0.1:{p}/a.mp3",
    "http://255.255.255.255:{p}/a.mp3",
)

# IPv6, and IPv4 inside it.
IPV6 = (
    "http://[::1]:{p}/a.mp3",
    "http://[::]:{p}/a.mp3",
    "http://[0:0:0:0:0:0:0:1]:{p}/a.mp3",
    "http://[0000:0000:0000:0000:0000:0000:0000:0001]:{p}/a.mp3",
    "http://[::1%25lo]:{p}/a.mp3",
    "http://[::1%lo]:{p}/a.mp3",
    "http://[::ffff:127.0.0.1]:{p}/a.mp3",
    "http://[::ffff:7f00:1]:{p}/a.mp3",
    "http://[::FFFF:127.0.0.1]:{p}/a.mp3",
    "http://[::127.0.0.1]:{p}/a.mp3",
    "http://[::ffff:0:127.0.0.1]:{p}/a.mp3",
    "http://[64:ff9b::127.0.0.1]:{p}/a.mp3",
    "http://[64:ff9b::7f00:1]:{p}/a.mp3",
    "http://[64:ff9b:1::7f00:1]:{p}/a.mp3",
    "http://[2002:7f00:1::]:{p}/a.mp3",
    "http://[2001:0:7f00:1::]:{p}/a.mp3",
    "http://[fe80::1%25lo]:{p}/a.mp3",
    "http://[fc00::1]:{p}/a.mp3",
    "http://[fec0::1]:{p}/a.mp3",
    "http://[ff02::1]:{p}/a.mp3",
    "http://[::1:{p}/a.mp3",
    "http://::1:{p}/a.mp3",
    "http://[[::1]]:{p}/a.mp3",
    "http://[127.0.0.1]:{p}/a.mp3",
    "http://[v1.127.0.0.1]:{p}/a.mp3",
)

# Metadata services of clouds.
METADATA = (
    "http://169.254.169.254/latest/meta-data/",
    "http://169.254.170.2/v2/credentials",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/latest/meta-data/",
    "http://0251.0376.0251.0376/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/latest/meta-data/",
    "http://100.100.100.200/latest/meta-data/",
    "http://168.63.129.16/machine?comp=goalstate",
    "http://192.0.0.192/opc/v2/instance/",
    "http://metadata.google.internal/computeMetadata/v1/",
)

# Names: those of this machine, and those whose owner lets them point here.
NAMES = (
    "http://localhost:{p}/a.mp3",
    "http://LOCALHOST:{p}/a.mp3",
    "http://localhost.:{p}/a.mp3",
    "http://LocalHost%2e:{p}/a.mp3",
    "http://talks.localhost:{p}/a.mp3",
    "http://localhost.localdomain:{p}/a.mp3",
    "http://ip6-localhost:{p}/a.mp3",
    "http://ｌｏｃａｌｈｏｓｔ:{p}/a.mp3",
    "http://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ:{p}/a.mp3",
    "http://loopback.example:{p}/a.mp3",
    "http://private.example:{p}/a.mp3",
    "http://mixed.example:{p}/a.mp3",
    "http://six.example:{p}/a.mp3",
    "http://mapped.example:{p}/a.mp3",
    "http://metadata.example:{p}/a.mp3",
    "http://127.0.0.1.nip.example:{p}/a.mp3",
)

# Where the host is: what one parser takes for the user is the host of another.
HIDDEN_HOSTS = (
    "http://public.example@127.0.0.1:{p}/a.mp3",
    "http://public.example:80@127.0.0.1:{p}/a.mp3",
    "http://public.example%40127.0.0.1:{p}/a.mp3",
    "http://public.example#@127.0.0.1:{p}/a.mp3",
    "http://public.example?@127.0.0.1:{p}/a.mp3",
    "http://127.0.0.1:{p}\\@public.example/a.mp3",
    "http://public.example\\@127.0.0.1:{p}/a.mp3",
    "http://127.0.0.1:{p}#@public.example/a.mp3",
    "http://127.0.0.1:{p}/@public.example/a.mp3",
    "http://a@b@127.0.0.1:{p}/a.mp3",
    "http://\t127.0.0.1:{p}/a.mp3",
    "http://127.0.0.1\n:{p}/a.mp3",
    "http://127.0.0.1\r\nHost: public.example:{p}/a.mp3",
    "http://127.0.0.1 :{p}/a.mp3",
    "http:// 127.0.0.1:{p}/a.mp3",
    "http://127.0.0.1\x00.public.example:{p}/a.mp3",
    "http:///127.0.0.1:{p}/a.mp3",
    "http:////127.0.0.1:{p}/a.mp3",
    "http:\\\\127.0.0.1:{p}\\a.mp3",
    "http:/127.0.0.1:{p}/a.mp3",
    "http:127.0.0.1:{p}/a.mp3",
    "//127.0.0.1:{p}/a.mp3",
    "http://127.0.0.1:0{p}/a.mp3",
    "http://127.0.0.1:{p}0000/a.mp3",
    "http://127.0.0.1:-{p}/a.mp3",
    "http://127.0.0.1:٨٠/a.mp3",
    "http://127.0.0.1:{p}:80/a.mp3",
    "http://127.0.0.1:/a.mp3",
    "http://:{p}/a.mp3",
    "http://",
    "http://127.0.0.1:{p}/\u202e3pm.a",
    "http://*:{p}/a.mp3",
    "http://xn--:{p}/a.mp3",
    "http://a..b:{p}/a.mp3",
    "http://" + "a" * 64 + ":{p}/a.mp3",
    "http://" + "a." * 200 + "b:{p}/a.mp3",
)

# Schemes that some library would open.
SCHEMES = (
    "HtTp://127.0.0.1:{p}/a.mp3",
    "https://127.0.0.1:{p}/a.mp3",
    "HTTPS://localhost:{p}/a.mp3",
    " http://127.0.0.1:{p}/a.mp3",
    "\thttp://127.0.0.1:{p}/a.mp3",
    "ht\ntp://127.0.0.1:{p}/a.mp3",
    "http\x00://127.0.0.1:{p}/a.mp3",
    "ｈｔｔｐ://127.0.0.1:{p}/a.mp3",
    "url:http://127.0.0.1:{p}/a.mp3",
    "view-source:http://127.0.0.1:{p}/a.mp3",
    "ftp://127.0.0.1:{p}/a.mp3",
    "ftps://127.0.0.1:{p}/a.mp3",
    "sftp://127.0.0.1:{p}/a.mp3",
    "ssh://127.0.0.1:{p}/a.mp3",
    "smb://127.0.0.1:{p}/share/a.mp3",
    "gopher://127.0.0.1:{p}/_a",
    "dict://127.0.0.1:{p}/a",
    "ldap://127.0.0.1:{p}/a",
    "tftp://127.0.0.1:{p}/a",
    "rtsp://127.0.0.1:{p}/a",
    "rtmp://127.0.0.1:{p}/a",
    "rtp://127.0.0.1:{p}/a",
    "mmst://127.0.0.1:{p}/a",
    "udp://127.0.0.1:{p}",
    "tcp://127.0.0.1:{p}",
    "tls://127.0.0.1:{p}",
    "srt://127.0.0.1:{p}",
    "unix://{u}",
    "http+unix://{u}/a.mp3",
    "ws://127.0.0.1:{p}/a",
    "git://127.0.0.1:{p}/a",
    "jar:http://127.0.0.1:{p}/a.jar!/a",
    "hdfs://127.0.0.1:{p}/a.mp3",
    "webhdfs://127.0.0.1:{p}/a.mp3",
    "github://owner:repo@main/a.mp3",
    "simplecache::http://127.0.0.1:{p}/a.mp3",
    "filecache::http://127.0.0.1:{p}/a.mp3",
    "blockcache::s3://127.0.0.1:{p}/a.mp3",
    "zip://a.mp3::http://127.0.0.1:{p}/a.zip",
    "reference://::http://127.0.0.1:{p}/a.json",
    "dask::http://127.0.0.1:{p}/a.mp3",
    "memory://a.mp3",
    "data:audio/wav;base64,UklGRg==",
    "data://text/plain,a",
    "concat:{f}|{f}",
    "concatf:{f}",
    "subfile,,start,0,end,0,,:{f}",
    "crypto:{f}",
    "crypto+file:{f}",
    "cache:http://127.0.0.1:{p}/a.mp3",
    "async:http://127.0.0.1:{p}/a.mp3",
    "hls+http://127.0.0.1:{p}/a.m3u8",
    "lavfi:sine",
    "pipe:0",
    "pipe:",
    "fd:0",
    "-",
    "file:{f}",
    "file:/{f}",
    "FILE://elsewhere{f}",
    "file://127.0.0.1{f}",
    "file://user@localhost{f}",
    "file://localhost:80{f}",
    "file:////elsewhere/share/a.mp3",
    "file://%6cocalhost{f}",
    "javascript:alert(1)",
    "://127.0.0.1:{p}/a.mp3",
)

URLS = IPV4 + IPV6 + METADATA + NAMES + HIDDEN_HOSTS + SCHEMES

# On the command line and as a parameter these are the names of files that are not there, ...
TAKEN_FOR_PATHS = frozenset(
    url
    for url in URLS
    if url.startswith(
        ("http:/1", "http:1", "http:\\\\", "//", "://", "ｈｔｔｐ", "-", "pipe:", "fd:")
    )
    or url.startswith(("data:a", "concat", "subfile", "crypto", "lavfi", "javascript"))
    or url in ("file:{f}", "file:////elsewhere/share/a.mp3")
)

# ... and in a redirect these are paths on the server that sent it.
TAKEN_FOR_RELATIVE = frozenset(
    {
        "http:///127.0.0.1:{p}/a.mp3",
        "http:/127.0.0.1:{p}/a.mp3",
        "ht\ntp://127.0.0.1:{p}/a.mp3",
        "ｈｔｔｐ://127.0.0.1:{p}/a.mp3",
        "subfile,,start,0,end,0,,:{f}",
        "-",
    }
)

# The public server is asked, which is allowed, and knows nothing of it.
PUBLIC = frozenset(
    {
        "http://public.example#@127.0.0.1:{p}/a.mp3",
        "http://public.example?@127.0.0.1:{p}/a.mp3",
        "http://127.0.0.1:{p}\\@public.example/a.mp3",
    }
)

# Well-formed names that nobody has: the resolver may know them another time.
UNKNOWN_NAMES = frozenset(
    {
        "http://127.0.0.1.:{p}/a.mp3",
        "http://4294967297:{p}/a.mp3",
        "http://340282366920938463463374607431768211457:{p}/a.mp3",
    }
)

# A redirect to one of these is no HTTP at all: a line that ends too early.
BROKEN_HEADERS = frozenset(
    {
        "http://127.0.0.1\n:{p}/a.mp3",
        "http://127.0.0.1\x00.public.example:{p}/a.mp3",
        "http\x00://127.0.0.1:{p}/a.mp3",
    }
)
