--- Where data sets are looked for.
describe("datasets.mnist", function()
    local build = os.getenv "MOTH_BUILD" or "build"

    -- A checkout of nothing but the program, the module and data/, run from a directory outside.
    local function run(command)
        local pipe = assert(io.popen(([[
            set -e
            root=$(mktemp -d)
            trap 'rm -rf "$root"' EXIT
            mkdir -p "$root/check out/build" "$root/check out/data/mnist" "$root/else" "$root/home"
            cp '%s/moth' '%s/moth.so' "$root/check out/build" 2>/dev/null || cp '%s/moth' "$root/check out/build"
            : > "$root/check out/data/fetch"
            cd "$root/else"
            unset MOTH_DATA XDG_DATA_HOME
            export HOME="$root/home"
            code='print(pcall(require("moth").datasets.mnist))'
            %s
        ]]):format(build, build, build, command), "r"))
        local text = pipe:read "a"
        pipe:close()
        return text
    end

    -- The data are damaged in a way that the message names the path of.
    local damaged = [[printf damaged > "$root/check out/data/mnist/train-images-idx3-ubyte"
        printf damaged > "$root/check out/data/mnist/train-labels-idx1-ubyte"
    ]]

    it("finds the data of its checkout from any directory", function()
        local text = run(damaged .. [["$root/check out/build/moth" -e "$code"]])
        assert.matches("^false\t[^\n]*/check out/data/mnist/train%-images%-idx3%-ubyte", text)
        text = run(damaged .. [[PATH="$root/check out/build:$PATH" moth -e "$code"]])
        assert.matches("^false\t[^\n]*/check out/data/mnist/train%-images%-idx3%-ubyte", text)
    end)

    local lua = io.open(build .. "/moth.so") and os.execute "command -v lua5.4 > /dev/null" and it or pending
    lua("finds them from the module too", function()
        local text = run(damaged .. [[LUA_CPATH="$root/check out/build/?.so" lua5.4 -e "$code"]])
        assert.matches("^false\t[^\n]*/check out/data/mnist/train%-images%-idx3%-ubyte", text)
        text = run(damaged .. [[cd "$root/check out/build"; LUA_CPATH="./?.so" lua5.4 -e "$code"]])
        assert.matches("^false\t[^\n]*/data/mnist/train%-images%-idx3%-ubyte", text)
    end)

    it("says where it looked", function()
        local text = run [["$root/check out/build/moth" -e "$code"]]
        local places = "data/mnist or [^\n]*/check out/data/mnist or [^\n]*/home/%.local/share/moth/mnist"
        assert.matches("is not in " .. places .. "; run", text)
        -- An installed program has no checkout.
        text = run [[mv "$root/check out/build/moth" "$root/moth"; "$root/moth" -e "$code"]]
        assert.matches("is not in data/mnist or [^\n]*/home/%.local/share/moth/mnist; run", text)
        text = run [[MOTH_DATA=/nowhere "$root/check out/build/moth" -e "$code"]]
        assert.matches("is not in /nowhere; run", text)
    end)
end)
