-- The scripts of the experiments as a shell runs them: each ends well on its smallest settings, and refuses what it
-- does not know.
local program = (os.getenv "MOTH_BUILD" or "build") .. "/moth"

local function first_line(command)
    local pipe <close> = assert(io.popen(command))
    return pipe:read "l"
end

local here = first_line "pwd"
local moth = program:sub(1, 1) == "/" and program or here .. "/" .. program
local found = pcall(require("moth").datasets.mnist)

-- Runs a script in a folder of its own, so that no earlier sweep is taken up. Returns output, status, folder.
local function run(line)
    local folder = first_line "mktemp -d"
    finally(function()
        os.execute(("rm -rf '%s'"):format(folder))
    end)
    local local_data = io.open(here .. "/data/mnist/train-images-idx3-ubyte")
    local data = ""
    if local_data then
        local_data:close()
        data = ("MOTH_DATA=${MOTH_DATA:-'%s/data/mnist'}"):format(here)
    end
    local command = ("cd '%s' && %s '%s' '%s/scripts/'%s >out 2>&1 </dev/null"):format(folder, data, moth, here, line)
    local _, _, status = os.execute(command)
    local file <close> = assert(io.open(folder .. "/out"))
    return file:read "a", status, folder
end

local function exists(path)
    local file = io.open(path)
    return file ~= nil and file:close()
end

local sweeps = { "dropout_sweep", "hidden_size", "learning_rate", "batch_size", "optimizer_sweep" }
local plain = { "single_layer", "mlp", "dropout", "optimizers", "regularization", "cnn", "lstm", "predict_digit" }

describe("scripts #slow", function()
    local function with_mnist(name, body)
        it(name, function()
            if not found then
                pending "MNIST is not here: run ./setup or data/fetch"
                return
            end
            body()
        end)
    end

    it("perceptron.lua runs", function()
        local out, status = run "perceptron.lua --quick --epochs 1"
        assert.equal(0, status, out)
        assert.truthy(out:find("sigmoid", 1, true))
    end)

    for _, name in ipairs(plain) do
        with_mnist(name .. ".lua runs", function()
            local out, status = run(name .. ".lua --quick --epochs 1")
            assert.equal(0, status, out)
            assert.truthy(out:find("Test accuracy 0%.%d%d%d%d"), out)
        end)
    end

    for _, name in ipairs(sweeps) do
        with_mnist(name .. ".lua prints its table and writes its plot", function()
            local out, status, folder = run(name .. ".lua --quick --epochs 1")
            assert.equal(0, status, out)
            local plot = out:match "plot: (%S+)"
            assert.truthy(plot and exists(folder .. "/" .. plot), out)
            assert.is_nil(out:find("failed", 1, true), out)
        end)
    end
end)

describe("a script", function()
    it("says what it is about with --help, whatever it trains", function()
        for _, name in ipairs { "demo", "model", "mlp", "report", "predict_digit" } do
            local out, status = run(name .. ".lua --help")
            assert.equal(0, status, out)
            assert.truthy(out:find("^usage: moth [^\n]*" .. name .. ".lua [^\n]*%-%-epochs N"), out)
            assert.truthy(out:find("--quick", 1, true), out)
            assert.is_nil(out:find("samples right", 1, true), out)
        end
    end)

    it("ends with status 2 for options that it does not know", function()
        for _, name in ipairs { "perceptron", "mlp", "dropout_sweep", "predict_digit", "report", "demo" } do
            for _, wrong in ipairs { "--nonsense", "--epochs", "--epochs x", "--epochs 0" } do
                local out, status = run(("%s.lua %s"):format(name, wrong))
                assert.equal(2, status, name .. " " .. wrong .. ": " .. out)
                assert.truthy(out:find("usage: moth", 1, true), out)
            end
        end
    end)
end)

describe("the report's page", function()
    local page = dofile "scripts/report_page.lua"

    it("shows medians with their range, and counts", function()
        assert.same({ "0.20", "0.10 to 0.30", 0.2 }, { page.spread({ 0.3, 0.1, 0.2 }, "%.2f") })
        assert.same({ "0.30", "", 0.3 }, { page.spread({ 0.3 }, "%.2f") })
        assert.same({ "", "" }, { page.spread({}, "%.2f") })
        assert.same({ "7", "999", "7,850", "118,282", "1,234,567" }, { page.count(7), page.count(999), page.count(7850),
            page.count(118282), page.count(1234567) })
    end)

    it("is whole in one file", function()
        local path = os.tmpname()
        finally(function() os.remove(path) end)
        local svg = assert(io.open(path, "w"))
        svg:write "<svg>curve</svg>"
        svg:close()
        local html = page.new "a & b"
        html:section "<one>"
        html:table({ "name", "range", "verdict" }, { { "x", "", "within", verdict = "within" }, { "y", nil, "none" } })
        html:plot(path)
        html:write(path)
        local file <close> = assert(io.open(path))
        local text = file:read "a"
        assert.truthy(text:find("<h1>a &amp; b</h1>", 1, true))
        assert.truthy(text:find("<h2>&lt;one&gt;</h2>", 1, true))
        -- The column that is empty is left out.
        assert.truthy(text:find("<tr><th>name</th><th>verdict</th></tr>", 1, true))
        assert.truthy(text:find('<tr><td>x</td><td class="within">within</td></tr>', 1, true))
        assert.truthy(text:find("<svg>curve</svg>", 1, true))
        assert.is_nil(text:find("<link", 1, true) or text:find("<script", 1, true) or text:find("src=", 1, true))
    end)
end)
