require "moth"
local terminal = require "moth.terminal"

-- What the code sees of the environment, and whether streams are terminals.
local function with(environment, is_tty, check)
    local getenv, tty = os.getenv, terminal.is_tty
    rawset(os, "getenv", function(name)
        return environment[name]
    end)
    terminal.is_tty = function()
        return is_tty
    end
    local done, message = pcall(check)
    rawset(os, "getenv", getenv)
    terminal.is_tty = tty
    assert(done, message)
end

describe("colours", function()
    local cases = {
        { true, { TERM = "xterm" }, true },
        { false, { TERM = "xterm" }, false },
        { false, { TERM = "dumb" }, true },
        { false, {}, true },
        { false, { TERM = "xterm", NO_COLOR = "1" }, true },
        { true, { TERM = "xterm", NO_COLOR = "" }, true }, -- empty means unset
        { true, { TERM = "xterm", CLICOLOR_FORCE = "1" }, false },
        { true, { FORCE_COLOR = "1" }, false },
        { false, { TERM = "xterm", CLICOLOR_FORCE = "0" }, true },
        { false, { TERM = "xterm", CLICOLOR_FORCE = "1", NO_COLOR = "1" }, true }, -- NO_COLOR wins
    }
    for i, case in ipairs(cases) do
        it("are " .. (case[1] and "on" or "off") .. " in case " .. i, function()
            with(case[2], case[3], function()
                assert.are.equal(case[1], terminal.color("stdout"))
            end)
        end)
    end
end)

describe("UTF-8", function()
    for i, case in ipairs {
        { true, { LANG = "C.utf8" } },
        { true, { LC_CTYPE = "de_DE.UTF-8", LANG = "C" } },
        { false, { LC_ALL = "C", LANG = "C.utf8" } },
        { true, { LC_ALL = "", LANG = "en_US.UTF-8" } },
        { false, { LANG = "de_DE.ISO-8859-1" } },
        { false, {} },
    } do
        it("is " .. (case[1] and "on" or "off") .. " in case " .. i, function()
            with(case[2], true, function()
                assert.are.equal(case[1], terminal.utf8())
            end)
        end)
    end
end)

describe("the size of the terminal", function()
    it("comes from the environment, or is 80 by 24, where no stream is a terminal", function()
        local core = require "moth.core"
        local width, height = core.terminal_width, core.terminal_height
        finally(function() core.terminal_width, core.terminal_height = width, height end)
        core.terminal_width, core.terminal_height = function() return 0 end, function() return 0 end
        with({ COLUMNS = "120", LINES = "50" }, false, function()
            assert.are.equal(120, terminal.width())
            assert.are.equal(50, terminal.height())
        end)
        for _, wrong in ipairs { "", "0", "-5", "wide", "1e9999" } do
            with({ COLUMNS = wrong, LINES = wrong }, false, function()
                assert.are.equal(80, terminal.width())
                assert.are.equal(24, terminal.height())
            end)
        end
        core.terminal_width, core.terminal_height = function() return 33 end, function() return 7 end
        with({ COLUMNS = "120", LINES = "50" }, true, function()
            assert.are.equal(33, terminal.width())
            assert.are.equal(7, terminal.height())
        end)
    end)
end)

describe("text for the terminal", function()
    it("is measured in characters, without control sequences", function()
        assert.are.equal(3, terminal.columns("aéz"))
        assert.are.equal(2, terminal.columns("\27[1;31mab\27[0m"))
        assert.are.equal(2, terminal.columns("\255\254"))
    end)

    it("is painted, padded, centred and clipped", function()
        assert.are.equal("\27[1mx\27[0m", terminal.paint("x", "1", true))
        assert.are.equal("x", terminal.paint("x", "1", false))
        assert.are.equal("", terminal.paint("", "1", true))
        assert.are.equal("  é", terminal.pad_left("é", 3))
        assert.are.equal(" é", terminal.centred("é", 4))
        assert.are.equal("ab", terminal.clip("abc", 2))
        assert.are.equal("éü", terminal.clip("éüö", 2))
        assert.are.equal("", terminal.clip("abc", 0))
        assert.are.equal("abc", terminal.clip("abc", 3))
    end)
end)
