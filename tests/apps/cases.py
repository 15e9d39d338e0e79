# SPDX-License-Identifier: MIT
"""The table of matrix.py: which program is run with which options.

A group is a list of cases; a case is a row of docs/compatibility.md. Commands
are split as a shell does. In them, {port} is a free TCP port, {run} stands for
`belfry run OPTIONS --` (which otherwise comes before the command), {bin} for
our own programs, {apps} for this directory, {python} for the distribution's
Python, {tests} for rdma-core's directory of tests.
"""

from dataclasses import dataclass, field, replace

# Of the last match in the client's output: a regular expression, and what is
# printed of it. A program without such a line failed.
ANY = (r"", "")
PINGPONG = (r"iters in .* = ([\d.]+) usec/iter", r"\1 us")
BW = (r"(?m)^ *(\d+) +\d+ +[\d.]+ +([\d.]+)\s+([\d.]+)\s*$",
      r"\1 B: \2 MiB/s, \3 M/s")
LAT = (r"(?m)^ *(\d+) +\d+ +[\d.]+ +[\d.]+ +([\d.]+)\s+([\d.]+)(?: .*)?$",
       r"\1 B: \2 us")
UCX = (r"Final: +\d+ +(\S+) +(\S+) +\S+ +\S+ +(\S+) +\d+ +(\d+)",
       r"\2 us, \3 MB/s, \4 msg/s")
NO_ODP = "on-demand paging is not modelled"
NO_RDMA_CM = "there is no /dev/infiniband/rdma_cm"
NO_DC = "DC transport is not modelled"
# Output that no program may have, whatever else it says.
NEVER = r"AddressSanitizer|[Aa]ssertion .*fail|Segmentation fault|SIGSEGV"


@dataclass(frozen=True)
class Case:
    """One program, or a server and a client, with one set of options."""

    group: str
    name: str
    client: str
    server: str = None          # started first; has to listen on {port}
    figures: tuple = ANY
    run: str = ""               # options of `belfry run`
    env: dict = field(default_factory=dict)
    pairs: int = 1              # so many servers and clients at once
    stop: str = None            # end the program when it has printed this
    quick: bool = False         # in the selection for CI
    timeout: int = 30           # seconds
    packages: tuple = ()        # of Debian: what the programs come from
    expect: int = 0             # exit status
    library: bool = True        # run again on another rdma-core
    why: str = ""               # why it cannot pass: what is not modelled


ALL = []


def add(case, quick=False):
    ALL.append(replace(case, quick=quick))


def roce(case):
    """The same over Ethernet; a GID is needed there."""
    return replace(case, run=(case.run + " --link roce").strip())


def pair(command, **more):
    """Server and client have the same options; the client names the host."""
    return Case(server=command, client=command + " 127.0.0.1", **more)


# ----------------------------------------------------------------- devices

def devices():
    utils = {"group": "devices", "packages": ("ibverbs-utils",)}
    info = Case(name="ibv_devinfo -v", client="ibv_devinfo -v",
                figures=(r"(?s)hca_id:\s+(\S+).*state:\s+(PORT_ACTIVE).*"
                         r"link_layer:\s+(\S+)", r"\1 \2 \3"), **utils)
    add(Case(name="ibv_devices", client="ibv_devices",
             figures=(r"(mlx5_0)\s+([0-9a-f]{16})", r"\1 \2"), **utils), True)
    add(info, True)
    add(roce(info), True)
    add(Case(name="ibv_devices", client="ibv_devices", run="--nics 4",
             figures=(r"(mlx5_3)\s+([0-9a-f]{16})", r"\1 \2"), **utils), True)
    for persona in ("cx5", "cx6", "cx7", "cx8"):
        add(Case(name="ibv_devinfo", client="ibv_devinfo -d mlx5_0",
                 run="--persona " + persona,
                 figures=(r"vendor_part_id:\s+(\d+)", r"part \1"), **utils))
    add(Case(name="ibv_asyncwatch", client="ibv_asyncwatch -d mlx5_0",
             stop=r"async event FD \d+", **utils), True)


# ---------------------------------------------------------------- pingpong

def pingpong(kind, options="", quick=False, env=None, both=True, pairs=1,
             why="", timeout=30):
    command = f"ibv_{kind}_pingpong"
    if options:
        command += " " + options
    count = "" if kind == "xsrq" else " -n 300"
    figures = (r"(success)", r"\1") if kind == "xsrq" else PINGPONG
    case = Case("pingpong", command, f"{command}{count} -p {{port}} 127.0.0.1",
                f"{command}{count} -p {{port}}", figures, env=env or {},
                pairs=pairs, packages=("ibverbs-utils",), why=why,
                timeout=timeout)
    if "-g" not in options:
        add(case, quick)
        if not both:
            return
        options += " -g 0"
        case = replace(
            case, name=case.name + " -g 0", client=case.client + " -g 0",
            server=case.server + " -g 0")
    add(roce(case), quick)


def pingpongs():
    for kind in ("rc", "uc", "ud", "srq", "xsrq"):
        pingpong(kind, quick=True)
        pingpong(kind, "-e", quick=kind in ("rc", "srq"))
        add(replace(ALL[-1], run="", name=f"ibv_{kind}_pingpong -e -g 0"))
    for kind in ("rc", "uc"):
        pingpong(kind, "-s 1000000 -m 1024")
        pingpong(kind, "-c", both=False)
    pingpong("ud", "-s 1024 -c", both=False)
    pingpong("rc", "-t", both=False)
    pingpong("rc", "-N -e")
    pingpong("rc", "-o", both=False, why=NO_ODP)
    pingpong("srq", "-q 32 -c")
    pingpong("rc", env={"RDMAV_FORK_SAFE": "1"}, both=False, quick=True)
    pingpong("rc", env={"MLX5_CQE_SIZE": "128"}, both=False)
    pingpong("rc", env={"MLX5_SHUT_UP_BF": "1"}, both=False)
    pingpong("rc", env={"MLX5_SINGLE_THREADED": "1"}, both=False)
    pingpong("rc", env={"MLX5_SCATTER_TO_CQE": "0"}, both=False)
    pingpong("rc", pairs=8, both=False, quick=True, timeout=90)
    pingpong("rc", "-e", pairs=16, both=False, timeout=90)


# ---------------------------------------------------------------- perftest

def perftest(tool, options="", count=1000, quick=False, env=None, pairs=1,
             link=None, why=""):
    command = f"ib_{tool} {options}".strip()
    bandwidth = tool.endswith("bw")
    figures = BW if bandwidth else LAT
    # Programs that spin against each other on two cores are slow.
    count = count if bandwidth else min(count, 300)
    case = pair(f"{command} -F -n {count} -p {{port}}", group="perftest",
                name=command, figures=figures, env=env or {}, pairs=pairs,
                packages=("perftest",), why=why,
                timeout=150 if "-a" in options.split() else 60)
    if link != "roce":
        add(case, quick)
    if link != "ib":
        add(roce(case), quick and not options)


def perftest_common(tool, connection):
    """Option sets that every tool has."""
    kind = "" if connection == "RC" else f"-c {connection}"
    bandwidth = tool.endswith("bw")
    # A row of CI for each tool and connection, and one a kind of option.
    perftest(tool, kind, quick=True)
    if not tool.startswith("atomic"):
        perftest(tool, f"{kind} -a".strip(), count=50)
    if not tool.startswith("write"):  # perftest has no events for writes
        perftest(tool, f"{kind} -e".strip(),
                 quick=tool in ("send_bw", "send_lat", "read_lat"))
    if bandwidth:
        perftest(tool, f"{kind} -b".strip(), quick=connection != "UC")
        perftest(tool, f"{kind} -q 8".strip(),
                 quick=tool == "write_bw" and not kind)
        perftest(tool, f"{kind} -l 32".strip(), count=1024,
                 quick=tool == "write_bw" and not kind)
        perftest(tool, f"{kind} -Q 16".strip(), link="ib")
        if not tool.startswith("write"):
            perftest(tool, f"{kind} -b -e -q 4".strip(), link="ib")
    perftest(tool, f"{kind} -x 0".strip(), link="ib")


def perftest_options():
    """Option sets that make sense for some tools only."""
    for tool in ("write_bw", "write_lat", "send_bw", "send_lat"):
        size = 220 if tool.startswith("write") else 64
        for inline in (0, size):
            perftest(tool, f"-I {inline} -s {size}",
                     quick=tool == "write_lat" and inline > 0)
    for tool in ("send_bw", "send_lat"):
        perftest(tool, "--use-srq", quick=True)
        perftest(tool, "--use-srq -c UD")
    perftest("send_bw", "--use-srq -q 8 -e")
    perftest("send_bw", "--use-srq -b", link="ib")
    for tool in ("write_bw", "read_bw", "send_bw"):
        perftest(tool, "-s 8388608", count=50)
        perftest(tool, "-s 1 -t 1", link="ib")
        perftest(tool, "-D 2", link="ib")
        perftest(tool, "--use_old_post_send", link="ib")
        for mtu in (256, 1024, 4096):
            perftest(tool, f"-m {mtu}", link="ib")
    perftest("read_bw", "-o 1", link="ib")
    perftest("read_lat", "-s 100000", link="ib")
    perftest("atomic_bw", "-A CMP_AND_SWAP", quick=True)
    perftest("atomic_lat", "-A CMP_AND_SWAP")
    perftest("write_bw", "--odp", link="ib", why=NO_ODP)
    perftest("write_bw", "--mr_per_qp -q 4", link="ib")
    perftest("send_bw", "--inline_recv 32 -s 32", link="ib")
    perftest("send_bw", "-r 1", link="ib")


def perftest_environments():
    for tool in ("write_bw", "send_lat", "read_bw", "atomic_bw"):
        perftest(tool, env={"RDMAV_FORK_SAFE": "1"}, link="ib",
                 quick=tool == "write_bw")
        for name, value in (("MLX5_CQE_SIZE", "128"), ("MLX5_SHUT_UP_BF", "1"),
                            ("MLX5_SINGLE_THREADED", "1"),
                            ("MLX5_SCATTER_TO_CQE", "1")):
            perftest(tool, env={name: value}, link="ib")
    for tool in ("write_bw", "read_bw", "send_bw", "atomic_bw", "write_lat"):
        perftest(tool, count=500, pairs=8, link="ib", quick=tool == "send_bw")
    perftest("send_bw", "-e -q 4", count=200, pairs=16, link="ib")
    perftest("write_bw", "-q 256", count=100, link="ib")


def perftest_run_options():
    """What `belfry run` itself can be told."""
    for options in ("--detect poll", "--detect trap", "--persona cx5",
                    "--persona cx8"):
        for tool in ("write_bw", "send_lat"):
            perftest(tool, count=500, link="ib")
            ALL[-1] = replace(ALL[-1], run=options)
    perftest("write_bw", "-d mlx5_3", link="ib")
    ALL[-1] = replace(ALL[-1], run="--nics 4", quick=True)


def perftest_absent():
    """What stands in perftest and not here: so that the table says so."""
    for tool in ("write_bw", "send_lat"):
        perftest(tool, "-R", link="roce",
                 why=NO_RDMA_CM)
        perftest(tool, "-c DC", link="ib",
                 why=NO_DC)
    for tool in ("write_bw", "send_bw", "send_lat", "read_bw", "atomic_bw"):
        perftest(tool, "-c XRC", link="ib", quick=tool == "send_bw")
    perftest("send_bw", "-g -c UD", link="ib",
             why="there is no subnet manager to join a multicast group")


def perftests():
    for tool in ("write", "read", "send", "atomic"):
        kinds = {"write": ("RC", "UC"), "send": ("RC", "UC", "UD")}
        for connection in kinds.get(tool, ("RC",)):
            for suffix in ("_bw", "_lat"):
                perftest_common(tool + suffix, connection)
    perftest_options()
    perftest_environments()
    perftest_run_options()
    perftest_absent()


# --------------------------------------------------------------------- UCX

UCX_TESTS = ("ucp_put_lat", "ucp_put_bw", "ucp_get", "ucp_am_lat", "ucp_am_bw",
             "tag_lat", "tag_bw", "tag_sync_lat", "ucp_fadd", "ucp_add",
             "ucp_swap", "ucp_cswap", "stream_bw", "stream_lat")
# Without DC: where a transport is missing, UCX takes one that is not.
UCX_TLS = ("rc_verbs,ud_verbs", "ud_verbs", "rc_mlx5,ud_mlx5", "ud_mlx5")


def ucx(test, tls, size=8, devx=None, quick=False, env=None, link="ib"):
    environment = {"UCX_TLS": tls, "UCX_NET_DEVICES": "mlx5_0:1", **(env or {})}
    if devx is not None:
        environment["UCX_IB_MLX5_DEVX"] = devx
    large = size > 10000
    options = f"-t {test} -s {size} -n {50 if large else 500}"
    case = pair(f"ucx_perftest {options} -w 20 -p {{port}}", group="ucx",
                name=f"ucx_perftest -t {test} -s {size}", figures=UCX,
                env=environment, packages=("ucx-utils",), timeout=60)
    add(roce(case) if link == "roce" else case, quick)


def ucxes():
    info = Case("ucx", "ucx_info -d", "ucx_info -d",
                figures=(r"(?s)Device: (mlx5_0:1).*", r"\1"),
                packages=("ucx-utils",))
    add(replace(info, figures=(r"Transport: (rc_mlx5)", r"\1")), True)
    add(roce(replace(info, figures=(r"Transport: (rc_mlx5)", r"\1"))))
    for tls in UCX_TLS:
        for test in UCX_TESTS:
            quick = test in ("ucp_put_lat", "tag_lat")
            for size in ((8,) if "add" in test or "swap" in test
                         else (8, 65536)):
                ucx(test, tls, size, quick=quick and size == 8)
        ucx("tag_lat", tls, link="roce", quick=tls == "rc_mlx5,ud_mlx5")
        ucx("ucp_put_bw", tls, size=65536, link="roce")
    mlx5 = "rc_mlx5,ud_mlx5"
    for test in UCX_TESTS:
        for devx in ("yes", "no"):
            ucx(test, mlx5, devx=devx,
                quick=test in ("ucp_put_lat", "ucp_fadd") and devx == "yes")
    ucx("tag_bw", mlx5, size=1 << 20, env={"UCX_RNDV_SCHEME": "get_zcopy"})
    ucx("tag_bw", mlx5, size=1 << 20, env={"UCX_RNDV_SCHEME": "put_zcopy"})
    ucx("tag_lat", mlx5, env={"UCX_RC_MLX5_SRQ_TOPO": "cyclic"}, devx="yes")
    ucx_uct()


def ucx_uct():
    """The transports alone, below UCP."""
    command = "ucx_perftest -t am_lat -d mlx5_0:1 -x dc_mlx5 -D short -s 8"
    add(pair(f"{command} -n 500 -w 20 -p {{port}}", group="ucx", name=command,
             figures=UCX, packages=("ucx-utils",), why=NO_DC))
    sizes = {"short": 8, "bcopy": 1024, "zcopy": 2048}
    for transport in ("rc_verbs", "rc_mlx5", "ud_verbs", "ud_mlx5"):
        for test in ("am_lat", "am_bw", "put_lat", "put_bw", "get", "fadd",
                     "cswap"):
            if transport.startswith("ud") and not test.startswith("am"):
                continue
            for layout, size in sizes.items():
                if test in ("fadd", "cswap") and layout != "short":
                    continue
                if test == "get" and layout == "short":
                    continue
                command = (f"ucx_perftest -t {test} -d mlx5_0:1 -x {transport}"
                           f" -D {layout} -s {size}")
                add(pair(f"{command} -n 500 -w 20 -p {{port}}", group="ucx",
                         name=command, figures=UCX, packages=("ucx-utils",)))


# ------------------------------------------------- MPI, pyverbs, our programs

def mpi(name, tls, ranks=4, quick=False, run="", env=None, paused=False):
    environment = {
        "UCX_TLS": tls, "UCX_NET_DEVICES": "mlx5_0:1",
        "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMPI_MCA_pml": "ucx", "OMPI_MCA_btl": "^openib,vader",
        "OMPI_MCA_osc": "ucx", "OMPI_MCA_oob_tcp_if_include": "lo",
        "OMPI_MCA_btl_tcp_if_include": "lo",
        "OMPI_MCA_rmaps_base_oversubscribe": "1",
        "OMPI_MCA_mpi_yield_when_idle": "1", **(env or {})}
    pauses, text = ("{python} {apps}/pauses.py ", "pauses.py ") \
        if paused else ("", "")
    add(Case("mpi", f"mpirun -n {ranks} {text}{name}",
             f"mpirun -n {ranks} {pauses}{{run}} {{bin}}/apps_{name}",
             figures=(r"(\d+) ranks, (.*) agree", r"\1 ranks, \2"), run=run,
             env=environment, timeout=90, library=False,
             packages=("openmpi-bin", "libopenmpi-dev")), quick)


def mpis():
    for tls in ("rc_mlx5,ud_mlx5,self", "rc_verbs,ud_verbs,self",
                "ud_mlx5,self", "ud_verbs,self"):
        mpi("mpi_ring", tls, quick=tls.startswith("rc_"))
        mpi("mpi_ring", tls, run="--link roce")
    mpi("mpi_ring", "rc_mlx5,ud_mlx5,self", ranks=8)
    # UD repeats what was not acknowledged, and says less of it inline.
    mpi("mpi_ring", "rc_mlx5,ud_mlx5,self", quick=True, paused=True)
    mpi("mpi_ring", "ud_mlx5,self", paused=True)


def pyverbs():
    for name in ("rc", "errors", "keys", "srq", "events", "devx"):
        case = Case("pyverbs", f"pyverbs_{name}.py",
                    f"{{python}} {{apps}}/pyverbs_{name}.py -v",
                    figures=(r"Ran (\d+) tests", r"\1 tests"),
                    packages=("python3-pyverbs",), timeout=60)
        add(case, True)
        add(roce(case), name == "rc")


def own_programs():
    for name in ("devx_ibgda", "devx_objects", "devx_events"):
        case = Case("devx", name, f"{{bin}}/apps_{name}",
                    figures=(r"(?m)^(.*)\.$", r"\1"),
                    packages=("libibverbs-dev",))
        add(case, True)
        add(roce(case))


def rdma_core():
    """Its own tests, a module a row; rdma_core_tests.py lists the failures."""
    # With tests that can run on these devices, in both versions.
    quick = ("test_device", "test_pd", "test_addr", "test_mr", "test_cq",
             "test_cq_events", "test_cqex", "test_qp", "test_qpex",
             "test_atomic", "test_fork", "test_parent_domain", "test_shared_pd",
             "test_relaxed_ordering", "test_mlx5_cq", "test_mlx5_devx",
             "test_mlx5_huge_page", "test_mlx5_mkey", "test_mlx5_query_port",
             "test_mlx5_raw_wqe", "test_mlx5_uar")
    why = {"test_rdmacm": NO_RDMA_CM, "test_mlx5_rdmacm": NO_RDMA_CM,
           "test_mlx5_flow": "flow steering is not modelled",
           "test_mlx5_devx": "flow counters are not modelled",
           "test_mlx5_timestamp": "the device offers no page with its clock"}
    modules = quick + (
        "test_srq", "test_buf", "test_dmah", "test_odp", "test_rdmacm",
        "test_mlx5_devx_async_events", "test_mlx5_timestamp", "test_mlx5_dc",
        "test_mlx5_dm_ops", "test_mlx5_dma_memcpy", "test_mlx5_crypto",
        "test_mlx5_ooo_qp", "test_mlx5_pp", "test_mlx5_rdma_ctrl",
        "test_mlx5_rdmacm", "test_mlx5_sched", "test_mlx5_udp_sport",
        "test_mlx5_var", "test_mlx5_lag_affinity", "test_mlx5_dmabuf",
        "test_cuda_dmabuf", "test_mlx5_cuda_umem", "test_flow",
        "test_mlx5_flow", "test_mlx5_dr", "test_rss_traffic",
        "test_tag_matching", "test_mlx5_vfio")
    for module in modules:
        case = Case("rdma-core", module,
                    f"{{python}} {{apps}}/rdma_core_tests.py {{tests}} "
                    f"{module} {{run}} {{python}}",
                    figures=(r"(?m)^total: (.*)$", r"\1"), timeout=300,
                    why=why.get(module, ""),
                    packages=("python3-pyverbs", "rdma-core"))
        add(case, module in quick)
        add(roce(case))


devices()
pingpongs()
perftests()
ucxes()
mpis()
pyverbs()
own_programs()
rdma_core()
GROUPS = list(dict.fromkeys(case.group for case in ALL))
