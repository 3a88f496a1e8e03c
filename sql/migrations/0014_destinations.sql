-- The shipped table of mailbox providers: whose limits a mail to which domain falls under. A figure stands here only where the
-- provider itself publishes it, with the page that says so; where none does, it is NULL and the daemon learns it.

-- What a domain is shipped with, for whoever has set another group and takes that back.
ALTER TABLE mailworkers.destination_domains ADD COLUMN shipped text COLLATE "C";
COMMENT ON COLUMN mailworkers.destination_domains.shipped IS 'The group it is shipped with, whatever is in force.';

-- What was learned from MX records and not looked at for long is forgotten, oldest first.
CREATE INDEX destination_domains_learned ON mailworkers.destination_domains (checked_at) WHERE found = 'mx';

INSERT INTO mailworkers.destination_groups (name, title, rate_tokens, rate_seconds, connections, source)
VALUES
    ('apple', 'Apple iCloud Mail', NULL, NULL, NULL,
        'none published: Postmaster information for iCloud Mail, support.apple.com/en-us/102322'),
    ('att', 'AT&T', NULL, NULL, NULL, NULL),
    ('barracuda', 'Barracuda, gateway of many companies', NULL, NULL, NULL, NULL),
    ('bell', 'Bell Canada', NULL, NULL, NULL, NULL),
    ('bt', 'BT', NULL, NULL, NULL, NULL),
    ('centrum', 'Centrum.cz, Atlas.cz and Volny.cz', NULL, NULL, NULL, NULL),
    ('charter', 'Charter, Spectrum', NULL, NULL, NULL, NULL),
    ('cisco', 'Cisco Secure Email, gateway of many companies', NULL, NULL, NULL, NULL),
    ('comcast', 'Comcast, Xfinity', NULL, NULL, 25,
        'What Do I Need to Know to Avoid Blocks When Sending to Comcast, postmaster.comcast.net'),
    ('docomo', 'NTT Docomo', NULL, NULL, NULL, NULL),
    ('earthlink', 'EarthLink', NULL, NULL, NULL, NULL),
    ('fastmail', 'Fastmail', NULL, NULL, NULL, NULL),
    ('free', 'Free', NULL, NULL, NULL, NULL),
    ('freenet', 'freenet', NULL, NULL, NULL, NULL),
    ('gandi', 'Gandi', NULL, NULL, NULL, NULL),
    ('godaddy', 'GoDaddy', NULL, NULL, NULL, NULL),
    ('google', 'Gmail and Google Workspace', NULL, NULL, NULL,
        'none published: Email sender guidelines, support.google.com/a/answer/81126'),
    ('hornetsecurity', 'Hornetsecurity, gateway of many companies', NULL, NULL, NULL, NULL),
    ('interia', 'Interia', NULL, NULL, NULL, NULL),
    ('ionos', 'IONOS', NULL, NULL, NULL, NULL),
    ('kakao', 'Kakao, Daum and Hanmail', NULL, NULL, NULL, NULL),
    ('laposte', 'La Poste', NULL, NULL, NULL, NULL),
    ('libero', 'Libero, Virgilio (Italiaonline)', NULL, NULL, NULL, NULL),
    ('mailru', 'Mail.ru', NULL, NULL, NULL, NULL),
    ('messagelabs', 'Symantec Email Security.cloud, gateway of many companies', NULL, NULL, NULL, NULL),
    ('microsoft', 'Microsoft Outlook.com, Hotmail, Live and MSN', NULL, NULL, 500,
        'Policies, Practices, and Guidelines, sendersupport.olc.protection.outlook.com/pm/policies.aspx'),
    ('microsoft365', 'Microsoft 365, mail of companies', NULL, NULL, NULL, NULL),
    ('mimecast', 'Mimecast, gateway of many companies', NULL, NULL, NULL, NULL),
    ('naver', 'Naver', NULL, NULL, NULL, NULL),
    ('netease', 'NetEase 163, 126 and yeah.net', NULL, NULL, NULL, NULL),
    ('onet', 'Onet', NULL, NULL, NULL, NULL),
    ('orange', 'Orange and Wanadoo, France', NULL, NULL, 2,
        'Postmaster, postmaster.orange.fr, as retold by Orange & Wanadoo Sender Requirements, '
        'egressif.io/resources/sender-requirements/orange'),
    ('ovh', 'OVHcloud', NULL, NULL, NULL, NULL),
    ('proofpoint', 'Proofpoint, gateway of many companies', NULL, NULL, NULL, NULL),
    ('proton', 'Proton Mail', NULL, NULL, NULL, NULL),
    ('qq', 'Tencent QQ Mail and Exmail', NULL, NULL, NULL, NULL),
    ('rackspace', 'Rackspace Email', NULL, NULL, NULL, NULL),
    ('rambler', 'Rambler', NULL, NULL, NULL, NULL),
    ('seznam', 'Seznam', NULL, NULL, NULL, NULL),
    ('sfr', 'SFR', NULL, NULL, NULL, NULL),
    ('strato', 'Strato', NULL, NULL, NULL, NULL),
    ('telekom', 'Deutsche Telekom, T-Online', NULL, NULL, NULL, NULL),
    ('telstra', 'Telstra BigPond', NULL, NULL, NULL, NULL),
    ('tim', 'TIM, Alice and Tin.it', NULL, NULL, NULL, NULL),
    ('tiscali', 'Tiscali Italia', NULL, NULL, NULL, NULL),
    ('united-internet', 'GMX, WEB.DE and mail.com', NULL, NULL, NULL, NULL),
    ('virgin-media', 'Virgin Media', NULL, NULL, NULL, NULL),
    ('wp', 'WP and o2, Poland', NULL, NULL, NULL, NULL),
    ('yahoo', 'Yahoo and AOL, and the domains that Yahoo runs for others', NULL, NULL, NULL,
        'none published: Guidelines for establishing SMTP connections to Yahoo Mail, help.yahoo.com/kb/SLN3433.html'),
    ('yahoo-japan', 'Yahoo Japan', NULL, NULL, NULL, NULL),
    ('yandex', 'Yandex', NULL, NULL, NULL, NULL),
    ('zoho', 'Zoho Mail', NULL, NULL, NULL, NULL)
ON CONFLICT (name) DO UPDATE
SET (title, rate_tokens, rate_seconds, connections, source) =
    (EXCLUDED.title, EXCLUDED.rate_tokens, EXCLUDED.rate_seconds, EXCLUDED.connections, EXCLUDED.source);

-- A domain that somebody has set keeps its group.
INSERT INTO mailworkers.destination_domains AS known (domain, destination_group, found, shipped)
SELECT domain, listed.name, 'shipped', listed.name
FROM (VALUES
    ('apple', 'icloud.com me.com mac.com'),
    ('att', 'att.net sbcglobal.net bellsouth.net ameritech.net pacbell.net swbell.net flash.net nvbell.net prodigy.net snet.net
        wans.net'),
    ('bell', 'bell.net sympatico.ca'),
    ('bt', 'btinternet.com btopenworld.com talk21.com'),
    ('centrum', 'centrum.cz atlas.cz volny.cz'),
    ('charter', 'charter.net spectrum.net twc.com rr.com austin.rr.com bak.rr.com carolina.rr.com cfl.rr.com cinci.rr.com
        columbus.rr.com ec.rr.com hawaii.rr.com houston.rr.com indy.rr.com insight.rr.com kc.rr.com maine.rr.com nc.rr.com
        neo.rr.com new.rr.com nyc.rr.com nycap.rr.com rochester.rr.com san.rr.com satx.rr.com sc.rr.com socal.rr.com
        stny.rr.com tampabay.rr.com triad.rr.com twcny.rr.com tx.rr.com wi.rr.com woh.rr.com'),
    ('comcast', 'comcast.net'),
    ('docomo', 'docomo.ne.jp'),
    ('earthlink', 'earthlink.net mindspring.com'),
    ('fastmail', 'fastmail.com fastmail.fm fastmail.net fastmail.org fastmail.co.uk'),
    ('free', 'free.fr aliceadsl.fr libertysurf.fr'),
    ('freenet', 'freenet.de'),
    ('google', 'gmail.com googlemail.com google.com'),
    ('interia', 'interia.pl interia.eu poczta.fm'),
    ('kakao', 'daum.net hanmail.net kakao.com'),
    ('laposte', 'laposte.net'),
    ('libero', 'libero.it virgilio.it inwind.it iol.it blu.it giallo.it'),
    ('mailru', 'mail.ru inbox.ru list.ru bk.ru internet.ru'),
    ('microsoft', 'outlook.com outlook.at outlook.be outlook.cl outlook.co.id outlook.co.il outlook.co.th outlook.com.ar
        outlook.com.au outlook.com.br outlook.com.gr outlook.com.tr outlook.com.vn outlook.cz outlook.de outlook.dk
        outlook.es outlook.fr outlook.hu outlook.ie outlook.in outlook.it outlook.jp outlook.kr outlook.lv outlook.my
        outlook.ph outlook.pt outlook.sa outlook.sg outlook.sk
        hotmail.com hotmail.at hotmail.be hotmail.ca hotmail.ch hotmail.cl hotmail.co.id hotmail.co.il hotmail.co.jp
        hotmail.co.kr hotmail.co.nz hotmail.co.th hotmail.co.uk hotmail.co.za hotmail.com.ar hotmail.com.au hotmail.com.br
        hotmail.com.hk hotmail.com.tr hotmail.com.tw hotmail.com.vn hotmail.cz hotmail.de hotmail.dk hotmail.es hotmail.fi
        hotmail.fr hotmail.gr hotmail.hu hotmail.it hotmail.my hotmail.nl hotmail.no hotmail.ph hotmail.rs hotmail.se
        hotmail.sg hotmail.sk
        live.com live.at live.be live.ca live.cl live.cn live.co.kr live.co.uk live.co.za live.com.ar live.com.au
        live.com.mx live.com.my live.com.ph live.com.pt live.com.sg live.de live.dk live.fi live.fr live.hk live.ie live.in
        live.it live.jp live.nl live.no live.ru live.se
        msn.com passport.com windowslive.com'),
    ('naver', 'naver.com'),
    ('netease', '163.com 126.com yeah.net vip.163.com vip.126.com 188.com'),
    ('onet', 'onet.pl onet.eu op.pl vp.pl poczta.onet.pl poczta.onet.eu autograf.pl buziaczek.pl spoko.pl'),
    ('orange', 'orange.fr wanadoo.fr'),
    ('proton', 'proton.me protonmail.com protonmail.ch pm.me'),
    ('qq', 'qq.com vip.qq.com foxmail.com'),
    ('rambler', 'rambler.ru lenta.ru autorambler.ru myrambler.ru ro.ru'),
    ('seznam', 'seznam.cz email.cz post.cz spoluzaci.cz'),
    ('sfr', 'sfr.fr sfr.net neuf.fr cegetel.net club-internet.fr numericable.fr numericable.com noos.fr 9online.fr
        9business.fr'),
    ('telekom', 't-online.de magenta.de'),
    ('telstra', 'bigpond.com bigpond.net.au'),
    ('tim', 'tim.it alice.it tin.it'),
    ('tiscali', 'tiscali.it'),
    ('united-internet', 'gmx.de gmx.net gmx.at gmx.ch gmx.com gmx.us gmx.co.uk gmx.fr gmx.es gmx.li gmx.eu gmx.info gmx.org
        gmx.biz web.de email.de mail.com'),
    ('virgin-media', 'virginmedia.com virgin.net ntlworld.com blueyonder.co.uk'),
    ('wp', 'wp.pl o2.pl tlen.pl go2.pl prokonto.pl'),
    ('yahoo', 'yahoo.com yahoo.at yahoo.be yahoo.ca yahoo.cl yahoo.co.id yahoo.co.il yahoo.co.in yahoo.co.nz yahoo.co.th
        yahoo.co.uk yahoo.co.za yahoo.com.ar yahoo.com.au yahoo.com.br yahoo.com.co yahoo.com.hk yahoo.com.mx yahoo.com.my
        yahoo.com.pe yahoo.com.ph yahoo.com.sg yahoo.com.tr yahoo.com.tw yahoo.com.ve yahoo.com.vn yahoo.de yahoo.dk
        yahoo.es yahoo.fi yahoo.fr yahoo.gr yahoo.ie yahoo.in yahoo.it yahoo.nl yahoo.no yahoo.pl yahoo.pt yahoo.ro yahoo.se
        ymail.com rocketmail.com myyahoo.com
        aol.com aol.co.uk aol.de aol.fr aol.it aol.es aim.com netscape.net compuserve.com cs.com wow.com love.com games.com
        verizon.net cox.net frontier.com frontiernet.net rogers.com sky.com'),
    ('yahoo-japan', 'yahoo.co.jp ymail.ne.jp'),
    ('yandex', 'yandex.ru yandex.com yandex.by yandex.kz yandex.ua ya.ru narod.ru'),
    ('zoho', 'zoho.com zoho.eu zoho.in zohomail.com zohomail.eu zohomail.in')
) AS listed(name, domains), regexp_split_to_table(listed.domains, '\s+') AS domain
ON CONFLICT (domain) DO UPDATE
SET shipped = EXCLUDED.shipped,
    destination_group = CASE known.found WHEN 'set' THEN known.destination_group ELSE EXCLUDED.destination_group END,
    found = CASE known.found WHEN 'set' THEN 'set' ELSE 'shipped' END;

-- The names of a provider's mail exchanges, by which the domains are known that it runs for others.
INSERT INTO mailworkers.destination_mx (suffix, destination_group)
SELECT suffix, listed.name
FROM (VALUES
    ('apple', 'mail.icloud.com'),
    ('att', 'prodigy.net'),
    ('barracuda', 'barracudanetworks.com'),
    ('bell', 'owm.bell.net'),
    ('bt', 'cpcloud.co.uk'),
    ('charter', 'charter.net'),
    ('cisco', 'iphmx.com'),
    ('comcast', 'comcast.net'),
    ('docomo', 'docomo.ne.jp'),
    ('earthlink', 'earthlink-vadesecure.net'),
    ('fastmail', 'messagingengine.com'),
    ('free', 'free.fr'),
    ('freenet', 'freenet.de'),
    ('gandi', 'mail.gandi.net'),
    ('godaddy', 'secureserver.net'),
    ('google', 'google.com googlemail.com'),
    ('hornetsecurity', 'hornetsecurity.com antispameurope.com'),
    ('interia', 'poczta.interia.pl'),
    ('ionos', 'kundenserver.de ionos.de ionos.com ionos.co.uk ionos.fr ionos.es ionos.it perfora.net'),
    ('kakao', 'hanmail.net kakao.com'),
    ('laposte', 'laposte.net'),
    ('libero', 'libero.it virgilio.it iol.it'),
    ('mailru', 'mail.ru'),
    ('messagelabs', 'messagelabs.com'),
    ('microsoft', 'olc.protection.outlook.com'),
    ('microsoft365', 'mail.protection.outlook.com mx.microsoft'),
    ('mimecast', 'mimecast.com mimecast.co.za mimecast-offshore.com'),
    ('naver', 'naver.com'),
    ('netease', 'mxmail.netease.com'),
    ('onet', 'poczta.onet.pl'),
    ('orange', 'smtp-in.orange.fr'),
    ('ovh', 'mail.ovh.net'),
    ('proofpoint', 'pphosted.com ppe-hosted.com'),
    ('proton', 'protonmail.ch'),
    ('qq', 'qq.com'),
    ('rackspace', 'emailsrvr.com'),
    ('rambler', 'rambler.ru'),
    ('seznam', 'seznam.cz'),
    ('sfr', 'smtp-in.sfr.fr'),
    ('strato', 'rzone.de'),
    ('telekom', 't-online.de'),
    ('tim', 'aliceposta.it'),
    ('tiscali', 'mail.tiscali.it'),
    ('united-internet', 'gmx.net web.de mx00.mail.com mx01.mail.com'),
    ('wp', 'wp.pl o2.pl tlen.pl'),
    ('yahoo', 'yahoodns.net'),
    ('yahoo-japan', 'mail.yahoo.co.jp'),
    ('yandex', 'yandex.ru yandex.net'),
    ('zoho', 'zoho.com zoho.eu zoho.in zoho.com.au zoho.jp zohomail.com')
) AS listed(name, suffixes), regexp_split_to_table(listed.suffixes, '\s+') AS suffix
ON CONFLICT (suffix) DO UPDATE SET destination_group = EXCLUDED.destination_group;
